/**
 * Reads tensors from this project's files, with messages for users. The format itself is in
 * common/safetensors.ts.
 */
import { readFileSync } from 'node:fs';
import { decodeSafetensors, float32Tensor, type Tensor } from '../../common/safetensors';
import { explainRefusal, isSystemError } from '../../common/system-errors';
import { ConfigError } from '../base/errors';

export {
  decodeSafetensors,
  encodeSafetensors,
  float32Tensor,
  type Tensor,
  type TensorData,
} from '../../common/safetensors';

/** What stays wrong with a path until a person changes it, unlike for example EMFILE or EIO. */
const LASTING = ['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG'];

/**
 * Reads a whole file.
 *
 * @throws ConfigError that names the file if it is missing, truncated or not in this format; the
 *   system's error if another try may succeed
 */
export function readSafetensors(path: string): Map<string, Tensor> {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (error) {
    if (!isSystemError(error) || !LASTING.includes(error.code ?? '')) throw error;
    const message = `cannot be read: ${explainRefusal(error)}`;
    throw new ConfigError({ where: path, message });
  }
  try {
    return decodeSafetensors(file);
  } catch (error) {
    throw new ConfigError({
      where: path,
      message: `is not a complete safetensors file: ${(error as Error).message}`,
    });
  }
}

/** A file's tensor of that name; throws as readSafetensors does, also if it is not float32. */
export function readFloat32(path: string, name: string): Tensor<Float32Array> {
  const tensors = readSafetensors(path);
  try {
    return float32Tensor(tensors, name);
  } catch (error) {
    throw new ConfigError({ where: path, message: (error as Error).message });
  }
}
