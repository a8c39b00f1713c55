/**
 * How long a test may take, in milliseconds: long, since machines that run tests are busy, and
 * only ever waited for where something is wrong. Where the shop itself is slow, it may be longer.
 */
export const patience = Number(process.env.SHOP_PATIENCE ?? 180_000)
