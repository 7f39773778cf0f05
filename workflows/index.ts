/** The workflows in the worker's bundle. */
export { cohort } from './cohort';
export { sweep } from './sweep';
