/** `1 rule`, `2 rules`. */
export const counted = (count: number, one: string): string => `${count} ${count === 1 ? one : `${one}s`}`
