/** Temporary credentials of a cloud role, as its token service gave them. Every text of it is secret but the first. */
export interface CloudCredentials {
  readonly accessKeyId: string
  readonly secret: string
  readonly securityToken: string
  /** Seconds since the Unix epoch. */
  readonly expiresAt: number
}
