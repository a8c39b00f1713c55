const words: Record<string, string> = {
  placed: 'Placed and confirmed by e-mail. It is shipped next.',
  shipped: 'Placed, confirmed by e-mail, shipped.',
  cancelled: 'Cancelled. Nothing is sent.',
}

/** What an order's status means for the one who placed it. */
export const statusInWords = (status: string): string => words[status] ?? status
