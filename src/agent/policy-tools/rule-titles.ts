/** What each lint is about, in a few words (section 11 of the specification). */
const lintTitles: Readonly<Record<string, string>> = {
  L01: 'condition that matches claims of every type',
  L02: 'decision that does not ask who says it',
  L03: 'Boolean claim asked for its presence, not for its value',
  L04: 'claim that nothing provides',
  L05: 'query that does not compile',
  L06: 'bare true, false or null in a query',
  L07: 'number compared with a text of digits',
  L08: 'comparison with null that an empty list passes as well',
  L09: 'query that begins beside the root of its document',
  L10: 'read-only value put into the token',
  L11: 'issue in authorizationrules, which reaches no token',
  L12: 'rule inside of a comment',
  L13: 'permit without condition, and nothing that denies',
  L14: 'permit that asks for debug mode',
  L15: 'one value taken from a claim that can have several',
  L16: 'reserved name put into the token',
  L17: 'absence of a claim taken for its good value',
  L18: 'word in the wrong case',
  L19: 'condition that cannot hold, or rule that stands twice',
  L20: 'claim or property that does not exist for this evidence',
  L21: 'query built from text of the evidence',
  L22: 'property set where it has no effect any more',
  L23: 'line that ends elsewhere than it is shown to',
  L24: 'character that changes the order in which text is shown',
  L25: 'lint that stopped before the end',
}

const groups: readonly (readonly [below: number, title: string])[] = [
  [200, 'characters and words of a policy'],
  [300, 'structure of a policy'],
  [400, 'what a policy may say'],
  [500, 'evaluation of a policy'],
  [600, 'functions of a policy'],
  [700, 'limits of a policy'],
]

/** A title for the id of a diagnostic: `L02`, `POL-206`. */
export function titleOfRule(id: string): string {
  const number = Number(/^POL-([0-9]{3})$/.exec(id)?.[1] ?? Number.NaN)
  return lintTitles[id] ?? groups.find(([below]) => number < below)?.[1] ?? 'policies'
}
