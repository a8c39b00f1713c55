import { Fact, useFact } from './fact'

/** The server did not answer last. */
export const away = new Fact()

export const useAway = (): boolean => useFact(away)
