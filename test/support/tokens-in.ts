/** A key identifier or a digest: 43 characters of base64url, which may spell the beginning of a token by chance. */
const digest = /(?<![\w-])[\w-]{43}(?![\w-])/g

/**
 * Gives the pieces of tokens that stand in a text: JSON in base64url, from 23 characters on.
 * A shorter piece is not told from the random name of a folder.
 */
export const tokensIn = (text: string): readonly string[] => text.replace(digest, '').match(/eyJ[\w-]{20,}/g) ?? []
