/**
 * The HTTP API of a deployed stack, from the output that the construct makes. Imported only when AWS is asked: the SDK
 * takes longer to load than most commands take.
 */
import { CloudFormationClient, DescribeStacksCommand, type Output } from "@aws-sdk/client-cloudformation";
import { urlDescriptionPrefix } from "../aws/environment.ts";
import { PlainError } from "../dev/plain-error.ts";

/** As the SDK finds them: environment, shared files, single sign-on, instance. */
export interface AwsIdentity {
  readonly credentials: CloudFormationClient["config"]["credentials"];
  readonly region: string;
}

export interface StackApi extends AwsIdentity {
  readonly url: string;
}

/**
 * @param name `STACK`, or `STACK/PATH` when the stack has several Pawl constructs: the ids down to the one that is meant
 * @throws {PlainError} when there is no such stack or no such API, or when AWS does not say
 */
export async function findStackApi(name: string): Promise<StackApi> {
  const [stackName = "", ...path] = name.split("/");
  const client = new CloudFormationClient({});
  const { credentials, region } = await identityOf(client);
  const apis = (await outputsOf(client, stackName, region)).flatMap(({ Description, OutputValue }) =>
    Description?.startsWith(urlDescriptionPrefix) === true && OutputValue !== undefined
      ? [{ path: Description.slice(urlDescriptionPrefix.length), url: OutputValue }]
      : [],
  );
  const wanted = path.length === 0 ? apis : apis.filter((api) => api.path === path.join("/"));
  const [api, ...others] = wanted;
  if (api !== undefined && others.length === 0) return { url: api.url, credentials, region };
  const known = apis.map((one) => `--stack ${stackName}/${one.path}`).join(" or ");
  if (others.length > 0) {
    throw new PlainError(`Stack ${stackName} has several HTTP APIs of Pawl. Say which: ${known}.`, { exitCode: 2 });
  }
  if (apis.length > 0) {
    const wantedPath = JSON.stringify(path.join("/"));
    throw new PlainError(`Stack ${stackName} has no HTTP API of Pawl ${wantedPath}. Say which: ${known}.`);
  }
  throw new PlainError(
    `Stack ${stackName} in ${region} tells of no HTTP API of Pawl. It has none (api: false), or was deployed by an earlier version: ` +
      "deploy it again, or name the address with --url.",
  );
}

/** @param region that the address tells; otherwise as the SDK finds it */
export async function awsIdentity(region: string | undefined): Promise<AwsIdentity> {
  return identityOf(new CloudFormationClient(region === undefined ? {} : { region }));
}

async function identityOf({ config }: CloudFormationClient): Promise<AwsIdentity> {
  let region: string;
  try {
    region = await config.region();
  } catch (error) {
    throw new PlainError("No AWS region is set. Set AWS_REGION, or choose a profile with AWS_PROFILE.", {
      cause: error,
    });
  }
  try {
    await config.credentials();
  } catch (error) {
    const message = `No AWS credentials are found: ${(error as Error).message} Set AWS_PROFILE, or log in with: aws sso login. An API for everybody takes --auth none.`;
    throw new PlainError(message, { cause: error });
  }
  return { credentials: config.credentials, region };
}

async function outputsOf(client: CloudFormationClient, stackName: string, region: string): Promise<readonly Output[]> {
  try {
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: stackName }));
    return Stacks?.[0]?.Outputs ?? [];
  } catch (error) {
    const { name, message } = error as Error;
    if (name === "ValidationError") {
      throw new PlainError(
        `There is no stack ${JSON.stringify(stackName)} in ${region}, for these credentials. ` +
          "Other regions and accounts are chosen with AWS_REGION and AWS_PROFILE.",
        { cause: error },
      );
    }
    throw new PlainError(
      `CloudFormation does not tell of stack ${JSON.stringify(stackName)} in ${region}: ${name}: ${message} ` +
        "(The credentials need cloudformation:DescribeStacks; --url does without.)",
      { cause: error },
    );
  }
}
