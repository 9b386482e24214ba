/** Credentials as a double gave them; they open nothing. */
export interface IssuedCredentials {
  readonly accessKeyId: string
  readonly secret: string
  readonly securityToken: string
  /** RFC 3339, whole seconds, UTC. */
  readonly expiration: string
}

/** What the owner of an account configured at the STS of a cloud. */
export interface StsOptions {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly roleArn: string
  /** The subject that the trust policy of the role demands; default: any. */
  readonly subject?: string
  /** Milliseconds since the epoch; default the clock of this process. */
  readonly now?: () => number
  /** Life of the credentials in seconds, whatever was asked for. */
  readonly lifeS?: () => number
}
