/**
 * What Temporal's pages and commands can search sweeps by, where the server has these attributes:
 * the one that we run does. Imported by workflows and by the CLI.
 */
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';

/** The sweep's name. */
const SWEEP = defineSearchAttributeKey('SaOrchSweep', 'KEYWORD');
const TASKS = defineSearchAttributeKey('SaOrchTasks', 'KEYWORD_LIST');
const BACKBONE = defineSearchAttributeKey('SaOrchBackbone', 'KEYWORD');
/** `running`, `paused`, `cancelling`, `stopped` or `ended`. */
const STATE = defineSearchAttributeKey('SaOrchState', 'KEYWORD');
const FAILED = defineSearchAttributeKey('SaOrchFailedTrials', 'INT');

export const SEARCH_ATTRIBUTES = [SWEEP, TASKS, BACKBONE, STATE, FAILED];

/** What a sweep begins with. */
export const describeSweep = (
  name: string,
  tasks: string[],
  backbone: string,
): SearchAttributePair[] => [
  { key: SWEEP, value: name },
  { key: TASKS, value: tasks },
  { key: BACKBONE, value: backbone },
  ...describeProgress('running', 0),
];

/** What changes. */
export const describeProgress = (state: string, failedTrials: number): SearchAttributePair[] => [
  { key: STATE, value: state },
  { key: FAILED, value: failedTrials },
];
