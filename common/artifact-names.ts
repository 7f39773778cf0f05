/** Which files move between artifact roots: the names that artifacts.proto lists. */

const ID = '[a-z0-9-]{1,64}';
const PLAIN = '[a-z0-9_][a-z0-9_.-]*';
const FILE = `(?=[^/]{1,128}$)${PLAIN}\\.(?:json|safetensors)`;
const TRIAL = `trials/${ID}`;
const STEP = 'checkpoints/step-[0-9]{1,19}';
const RUNG = 'rungs/step-[0-9]{1,19}';
const FILES = new RegExp(
  `^(?:(?:datasets|backbones)/${ID}/${FILE}` +
    `|${TRIAL}/(?:masks\\.safetensors|${STEP}/${FILE})` +
    `|${TRIAL}/(?:${RUNG}/)?(?:training\\.json|adapter/${FILE})` +
    `|${TRIAL}/predictions\\.[a-z0-9_][a-z0-9_.-]{0,127}\\.safetensors)$`,
);
const FOLDERS = new RegExp(
  `^(?:(?:datasets|backbones|trials)/${ID}|${TRIAL}/(?:(?:${RUNG}/)?adapter|checkpoints|${STEP}))$`,
);

/** Whether it is the name of a file that can be moved. */
export const isFileName = (name: string): boolean => FILES.test(name);

/** Whether it is the name of a folder of such files. */
export const isFolderName = (name: string): boolean => FOLDERS.test(name);

/** The trial that a file or folder belongs to; undefined if it is of a data set or a backbone. */
export function findTrial(name: string): string | undefined {
  const [kind, id] = name.split('/');
  return kind === 'trials' ? id : undefined;
}
