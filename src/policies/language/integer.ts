const integer = /^-?(?:0|[1-9][0-9]*)$/
const hexadecimal = /^0[xX][0-9A-Fa-f]{1,16}$/
const smallest = -(2n ** 63n)
const largest = 2n ** 63n - 1n

export interface IntegerFault {
  readonly message: string
  readonly hint?: string
}

function fits(value: bigint): boolean {
  return value >= smallest && value <= largest
}

/** The value of what `integerFault` found nothing wrong with. */
export function integerValue(text: string): bigint {
  return BigInt(text)
}

/** Why it is no Integer, and the Integer that was meant where that is plain. */
function malformed(text: string): IntegerFault {
  if (hexadecimal.test(text)) {
    const value = BigInt(text)
    const message = 'an Integer is written in decimal digits'
    return fits(value) ? { message, hint: `write ${value}` } : { message }
  }
  const plain = text
    .replaceAll('_', '')
    .replace(/^\+/, '')
    .replace(/^(-?)0+(?=[0-9])/, '$1')
  if (integer.test(plain) && plain.length <= 20 && fits(BigInt(plain))) {
    return { message: 'an Integer has neither leading zeros nor _ nor +', hint: `write ${plain}` }
  }
  if (/[.eE]/.test(text)) {
    return { message: 'an Integer has neither fraction nor exponent', hint: 'claims hold whole numbers only' }
  }
  return { message: 'malformed Integer', hint: 'a name does not start with a digit; a text stands in double quotes' }
}

/** What is wrong with a number, or null: `-?(0|[1-9][0-9]*)` in signed 64 bit (POL-108). */
export function integerFault(text: string): IntegerFault | null {
  if (!integer.test(text)) return malformed(text)
  if (text.length <= 20 && fits(BigInt(text))) return null
  return { message: `an Integer lies between ${smallest} and ${largest}` }
}
