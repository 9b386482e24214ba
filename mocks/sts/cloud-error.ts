/** An error of a cloud's token service: status, code and message as its API has them. */
export class CloudError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.name = 'CloudError'
    this.status = status
    this.code = code
  }
}
