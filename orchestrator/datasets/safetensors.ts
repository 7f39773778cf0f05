/**
 * Reads tensors from this project's files, with messages for users. The format itself is in
 * common/safetensors.ts.
 */
import { readFileSync } from 'node:fs';
import { decodeSafetensors, type Tensor } from '../../common/safetensors';
import { ConfigError } from '../base/errors';

export {
  decodeSafetensors,
  encodeSafetensors,
  float32Tensor,
  type Tensor,
  type TensorData,
} from '../../common/safetensors';

/**
 * Reads a whole file.
 *
 * @throws ConfigError that names the file if it is missing, truncated or not in this format
 */
export function readSafetensors(path: string): Map<string, Tensor> {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (error) {
    throw new ConfigError({ where: path, message: `cannot be read (${(error as Error).message})` });
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
