import { execFileSync } from 'node:child_process';
import { quoteCommand, quoteWord } from '../../../orchestrator/base/shell-quote';

describe('quoteWord', () => {
  it('leaves ids, flags and plain paths as they are', () => {
    for (const word of ['glue-7f3a12cd', '--root', '/a/b_c.d', 'unix:/run/x', 'a=b,c@d+e%f'])
      expect(quoteWord(word)).toBe(word);
  });

  it('gives a shell back what it was given', () => {
    const words = [
      '',
      ' ',
      'my sweep (v2).yaml',
      "it's",
      "''",
      '$HOME',
      '`id`',
      '~/x',
      'a\nb',
      '\\',
      '"',
      '!!',
      '*',
      '🙂',
      '#x',
      'a;b&c|d<e>f',
      '-x',
      '=ls',
    ];
    const printed = execFileSync('/bin/sh', ['-c', quoteCommand('printf', '%s\\0', ...words)]);
    expect(printed.toString().split('\0').slice(0, -1)).toEqual(words);
  });
});
