/** What the worker's workflow bundle holds. */
export { cohort } from './cohort';
export { sweep } from './sweep';
