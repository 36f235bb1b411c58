/** The .proto files as gRPC's reflection tells of them: read when a door opens, from the generated code. */
import { globSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { ReflectionService } from "@grpc/reflection";

const GENERATED = join(import.meta.dirname, "../../../protos/gen");

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/** In the form in which gRPC's own loader would have read them; reflection looks at nothing but the files. */
export async function loadDescriptors(): Promise<PackageDefinition> {
  const paths = globSync("tricampus/**/*_pb.ts", { cwd: GENERATED }).sort();
  const files = await Promise.all(paths.map((path) => fileIn(join(GENERATED, path))));
  const fileDescriptorProtos = files.map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
  );
  const format = "Protocol Buffer 3 EnumDescriptorProto";
  return { tricampus: { format, type: {}, fileDescriptorProtos } };
}

async function fileIn(path: string): Promise<DescFile> {
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const [file] = Object.entries(module).flatMap(([name, value]) =>
    name.startsWith("file_") ? [value as DescFile] : [],
  );
  if (file === undefined) throw new Error(`${path} describes no .proto file`);
  return file;
}
