/** How a token can be written: the bare token under one of two names, or a JSON document (section 6.1). */
export type TokenMedia = 'application/jwt' | 'text/plain; charset=us-ascii' | 'application/json'

const offered: Readonly<Record<string, TokenMedia>> = {
  '*/*': 'application/jwt',
  'application/jwt': 'application/jwt',
  'text/plain': 'text/plain; charset=us-ascii',
  'application/json': 'application/json',
}

const weightForm = /^q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/i

interface Choice {
  readonly media: TokenMedia | undefined
  readonly weight: number
}

function choiceOf(entry: string): Choice {
  const [name = '', ...parameters] = entry.split(';').map((part) => part.trim())
  const weights = parameters.flatMap((parameter) => weightForm.exec(parameter)?.[1] ?? [])
  const key = name.toLowerCase()
  return { media: Object.hasOwn(offered, key) ? offered[key] : undefined, weight: Number(weights[0] ?? 1) }
}

/** The first media type of the highest weight that can be given; null: none can (406). No header: the bare token. */
export function chooseMedia(accept: string | undefined): TokenMedia | null {
  if (accept === undefined) return 'application/jwt'
  const choices = accept.split(',').map(choiceOf)
  const possible = choices.filter(({ media, weight }) => media !== undefined && weight > 0)
  return (
    possible.reduce<Choice | null>((best, one) => (best && best.weight >= one.weight ? best : one), null)?.media ?? null
  )
}
