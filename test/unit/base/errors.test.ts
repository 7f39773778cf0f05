import { ConfigError, UserError } from '../../../orchestrator/base/errors';

test('a wrong request says where and what, one problem per line, and ends with status 2', () => {
  const one = { where: 'a.yaml:1', message: 'sedes is not a key here' };
  const error = new ConfigError([one, { where: '--rows', message: 'must be at least 1' }]);
  expect(error.message).toBe('a.yaml:1: sedes is not a key here\n--rows: must be at least 1');
  expect(error.problems).toHaveLength(2);
  expect(error.exitCode).toBe(2);
  expect(new ConfigError(one).problems).toEqual([one]);
});

test('an end that a user can do something about keeps its status, hint and cause', () => {
  const cause = new Error('ECONNREFUSED');
  const error = new UserError('the trainer does not answer', 3, 'sa-orch up', { cause });
  expect(error).toMatchObject({ exitCode: 3, hint: 'sa-orch up', cause });
});
