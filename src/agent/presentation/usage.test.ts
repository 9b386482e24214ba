import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { isShown, refusingUsage, UsageRefusal } from './usage.ts'

const program = () => {
  const said: string[] = []
  const check = new Command('check').argument('<file>').action(() => undefined)
  const command = new Command('attestd').addCommand(new Command('policy').addCommand(check))
  for (const each of [command, ...command.commands, check]) {
    each.configureOutput({ writeErr: (text) => said.push(text), writeOut: () => undefined })
  }
  const run = (...args: string[]) =>
    refusingUsage(command)
      .parseAsync(args, { from: 'user' })
      .then(
        () => null,
        (error: unknown) => error,
      )
  return { run, said }
}

describe('a command line that is not understood', () => {
  it.each([
    [['policy', 'check'], "missing required argument 'file'", 'attestd policy check --help'],
    [['policy', 'check', '--no-such', 'f'], "unknown option '--no-such'", 'attestd policy check --help'],
    [['policy', 'chekc'], "unknown command 'chekc'\n(Did you mean check?)", 'attestd policy --help'],
    [['no-such'], "unknown command 'no-such'", 'attestd --help'],
  ])(
    '%j is an error with the command that has the help, and nothing is printed beside it',
    async (args, says, help) => {
      const { run, said } = program()
      const error = await run(...args)
      expect(error).toBeInstanceOf(UsageRefusal)
      expect(error).toMatchObject({ reported: { code: 'USAGE', message: says, remedy: `${help} shows what it takes` } })
      expect(said).toEqual([])
    },
  )

  it('is told from help, asked for or shown for want of a subcommand', async () => {
    const { run, said } = program()
    for (const args of [['policy', '--help'], ['policy']]) expect(isShown(await run(...args))).toBe(true)
    expect(said.join('')).toContain('Usage: attestd policy')
  })
})
