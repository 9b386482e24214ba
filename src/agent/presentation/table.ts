/**
 * Columns as wide as their longest cell, two spaces apart. `paint` may colour a cell, which has its width by then: colours
 * have no width of their own.
 */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  paint: (padded: string, row: number, column: number) => string = (padded) => padded,
): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((cells) => cells[column]?.length ?? 0)))
  const padded = (cells: readonly string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0))
  const line = (cells: readonly string[]) => cells.join('  ').trimEnd()
  const told = rows.map((cells, row) => line(padded(cells).map((cell, column) => paint(cell, row, column))))
  return `${[line(padded(head)), ...told].join('\n')}\n`
}
