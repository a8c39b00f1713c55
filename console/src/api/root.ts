/** The API's root: on AWS the console lives below a stage, `…/prod/console/`. */
export function rootOf(page: string): string {
  return new URL('.', page).href.replace(/console\/$/, '')
}

export const apiRoot = (): string => rootOf(document.baseURI)
