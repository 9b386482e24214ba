/** Names in measurement logs are shown and read as every other name of bytes (IMA-22). */
export { escapedName, shownName } from '../../base/escaped-name.ts'
