/**
 * The supervisor's process: `node supervisor-main.js <state directory>`. On SIGTERM it stops all
 * services and exits. On SIGHUP it gives failed services another set of tries. It also stops
 * everything and exits if its state directory is removed, or if no sweep has been open for long.
 */
import { explainOnOneLine } from '../../common/explain-error';
import { describeHolder, lockHolder, tryLock, type LockFile } from '../../common/lock-file';
import { keepLogging } from '../../common/log-output';
import { HOST } from '../../common/process-identity';
import { removeLeftovers } from '../../common/temporary-names';
import { UserError } from '../base/errors';
import { watchForIdleness } from './idleness';
import { unlistTrainers } from './listed-trainers';
import { readRuntimeConfig } from './runtime-config';
import { servicesFor } from './services';
import { DEFAULT_POLICY, Supervisor } from './supervisor';
import { supervisorLockPath } from './supervisor-state';

const say = (line: string): void => console.log(`${new Date().toISOString()} ${line}`);

function main(stateDir: string): void {
  const path = supervisorLockPath(stateDir);
  const lock = tryLock(path);
  if ('holder' in lock) say(`${describeHolder(path, lock.holder)} already supervises ${stateDir}`);
  else supervise(stateDir, lock);
}

function supervise(stateDir: string, lock: LockFile): void {
  removeLeftovers(stateDir);
  const config = readRuntimeConfig(stateDir);
  if (config === undefined)
    throw new UserError(`${stateDir} has no runtime.json: \`sa-orch up\` writes it`, 2);
  const { root } = config;
  const supervisor = new Supervisor(stateDir, servicesFor(stateDir, config), DEFAULT_POLICY, say);
  say(`process ${process.pid} supervises ${stateDir}`);

  let ending = false;
  const timer = setInterval(() => {
    if (!ending && !holdsLock(stateDir)) {
      supervisor.disown();
      end('the state directory was removed, or its lock');
    }
    if (!ending) supervisor.tick();
  }, DEFAULT_POLICY.tickMs);

  const idleness = watchForIdleness(
    config,
    () => supervisor.isReady(),
    (words) => end(words, words),
  );

  function end(reason: string, why?: string): void {
    if (ending) return;
    ending = true;
    say(`${reason}: stopping all services`);
    clearInterval(timer);
    idleness.stop();
    // First: what is about to end gets no more work.
    try {
      unlistTrainers(stateDir, root);
    } catch (error) {
      say(explainOnOneLine(error));
    }
    supervisor.stop(why).then(() => {
      lock.release();
      process.exit(0);
    }, fail);
  }

  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  process.on('SIGHUP', () => {
    supervisor.retryFailed();
    idleness.restart();
  });
}

function holdsLock(stateDir: string): boolean {
  const holder = lockHolder(supervisorLockPath(stateDir));
  return holder?.pid === process.pid && holder.host === HOST;
}

function fail(error: unknown): void {
  say(explainOnOneLine(error));
  process.exit(1);
}

const [stateDir] = process.argv.slice(2);
keepLogging();
process.on('uncaughtException', fail);
if (stateDir === undefined) throw new UserError('usage: supervisor-main.js <state directory>', 2);
main(stateDir);
