/**
 * gRPC reflection: serves the .proto files of the services, from the descriptors made by the build.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import {
  createFileRegistry,
  fromBinary,
  toBinary,
  type DescFile,
  type FileRegistry,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { packageRoot } from '../../common/package';
import type {
  ServerReflectionRequest,
  ServerReflectionResponse,
  ServerReflectionServer,
} from '../../gen/ts/grpc/reflection/v1alpha/reflection';

/** The reflection service for services with these names. */
export function reflectionHandlers(names: readonly string[]): ServerReflectionServer {
  const set = fromBinary(
    FileDescriptorSetSchema,
    readFileSync(join(packageRoot(), 'gen', 'ts', 'descriptors.binpb')),
  );
  const registry = createFileRegistry(set);
  return {
    serverReflectionInfo: (call) => {
      call.on('data', (request: ServerReflectionRequest) => {
        call.write({
          validHost: request.host,
          originalRequest: request,
          messageResponse: answer(registry, names, request),
        });
      });
      call.on('end', () => call.end());
    },
  };
}

function answer(
  registry: FileRegistry,
  names: readonly string[],
  { messageRequest }: ServerReflectionRequest,
): ServerReflectionResponse['messageResponse'] {
  switch (messageRequest?.$case) {
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: names.map((name) => ({ name })) } };
    case 'fileByFilename':
      return listFiles(
        registry.getFile(messageRequest.value.replace(/\.proto$/, '')),
        messageRequest.value,
      );
    case 'fileContainingSymbol':
      return listFiles(findFile(registry, messageRequest.value), messageRequest.value);
    default:
      return refusal(status.UNIMPLEMENTED, 'extensions belong to proto2; there are none');
  }
}

/** The file that contains a type, a service, or a method `<service>.<method>`. */
function findFile(registry: FileRegistry, symbol: string): DescFile | undefined {
  const found =
    registry.get(symbol) ?? registry.getService(symbol.slice(0, symbol.lastIndexOf('.')));
  return found?.file;
}

/** The file and everything that it imports. */
function listFiles(
  file: DescFile | undefined,
  asked: string,
): ServerReflectionResponse['messageResponse'] {
  if (!file) return refusal(status.NOT_FOUND, `there is no ${asked} here`);
  const found = new Set<DescFile>();
  const visit = (each: DescFile): void => {
    if (found.has(each)) return;
    found.add(each);
    each.dependencies.forEach(visit);
  };
  visit(file);
  const fileDescriptorProto = [...found].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
  );
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function refusal(
  errorCode: status,
  errorMessage: string,
): ServerReflectionResponse['messageResponse'] {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}
