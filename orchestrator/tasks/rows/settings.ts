import type { SettingsSchema } from '../family';

/** Classification and regression have no settings of their own. */
export const rowSettings: SettingsSchema<object> = {
  keys: {},
  trainKeys: {},
  trainDefaults: {},
  runFlags: [],
  refusedElsewhere: [],
  complete: () => ({}),
  chooseForTrials: () => ({}),
  findContradiction: () => null,
};
