/** The workflows in the worker's bundle. */
export { cohort } from './cohort';
export { pool } from './pool';
export { sweep } from './sweep';
