/**
 * What commands and worker do with the files of a sweep of thousands of trials. A program for a
 * test that limits its open files: `node many-trials.js <root> <trials>`. Prints a line of JSON.
 */
import { appendFileSync } from 'node:fs';
import { SweepReader } from '../../../orchestrator/cli/follow';
import { renderSnapshot } from '../../../orchestrator/cli/live-view';
import { renderTable } from '../../../orchestrator/report/table';
import { readPlan, writePlan } from '../../../orchestrator/store/plan-store';
import { readResults } from '../../../orchestrator/store/sweep-results';
import { writeProgress, writeResult } from '../../../orchestrator/store/sweep-store';
import { writeSweepReport } from '../../../workflows/activities/results';
