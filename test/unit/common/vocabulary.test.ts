import { ATTENTION_MODULES } from '../../../common/vocabulary/attention-modules';
import { FFN_MODULES } from '../../../common/vocabulary/ffn-modules';
import { listUsersOf, PRUNERS } from '../../../common/vocabulary/pruners';
import { findWord, listWords, getRow } from '../../../common/vocabulary/vocabulary';
import { AttentionModule, FfnModule, Pruner } from '../../../gen/ts/sparse_adapter/trainer/v1/job';

describe('a vocabulary', () => {
  test.each([
    ['pruners', PRUNERS, Pruner],
    ['attention modules', ATTENTION_MODULES, AttentionModule],
    ['feed-forward modules', FFN_MODULES, FfnModule],
  ])('of %s has one word for each value of the contract', (_, rows, enumeration) => {
    const known = Object.values(enumeration).filter((value) => Number(value) > 0);
    const protos = Object.values(rows).map(({ proto }) => proto as number);
    expect(protos.toSorted()).toEqual(known.toSorted());
  });

  test('finds words by the values of the contract, and none for one that is not in it', () => {
    expect(findWord(PRUNERS, Pruner.PRUNER_ER)).toBe('er');
    expect(findWord(PRUNERS, Pruner.PRUNER_UNSPECIFIED)).toBeUndefined();
    expect(() => getRow(PRUNERS, 99)).toThrow('99 is none of none, rand, mag');
  });

  test('lists words in the order of its rows', () => {
    expect(listWords(FFN_MODULES)).toEqual([
      'none',
      'sequential',
      'parallel',
      'lora',
      'after_norm',
    ]);
    expect(listUsersOf('temperature')).toEqual(['grasp']);
  });
});
