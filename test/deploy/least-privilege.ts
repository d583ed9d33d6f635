// Calls that were made, against the policies of whoever made them; and the other way round.
import { runSimulation } from "@cloud-copilot/iam-simulate";
import { account, type Permission } from "./permissions.ts";
import type { PolicyDocument } from "./role-policies.ts";

/** A role, the policies that are its own, and everything that was done in it. */
export interface Actor {
  readonly name: string;
  readonly roleArn: string;
  readonly policies: readonly PolicyDocument[];
  readonly calls: readonly Permission[];
}

/**
 * The calls that IAM would have refused.
 *
 * @param keyPolicy of the key that calls of `kms` are about: the key, too, must allow them
 */
export async function refusals(
  { name, roleArn, policies, calls }: Actor,
  keyPolicy?: PolicyDocument,
): Promise<readonly string[]> {
  const refused: string[] = [];
  for (const { action, resource, context = {} } of calls) {
    const result = await runSimulation(
      {
        request: {
          principal: roleArn,
          action,
          resource: { resource, accountId: account },
          contextVariables: { ...context },
        },
        identityPolicies: policies.map((policy, index) => ({ name: String(index), policy })),
        serviceControlPolicies: [],
        resourceControlPolicies: [],
        ...(action.startsWith("kms:") ? { resourcePolicy: keyPolicy } : {}),
      },
      {},
    );
    if (result.resultType === "error") throw new Error(`${action} on ${resource}: ${JSON.stringify(result.errors)}`);
    if (result.overallResult !== "Allowed") refused.push(`${name}: ${action} on ${resource}`);
  }
  return refused;
}

/** What is allowed and was never done, as `action on resource`. */
export function unused({ policies, calls }: Actor): readonly string[] {
  const allowed = policies
    .flatMap(({ Statement }) => Statement)
    .filter(({ Effect }) => Effect === "Allow")
    .flatMap(({ Action, Resource }) => list(Action).flatMap((action) => list(Resource).map((on) => ({ action, on }))));
  const isDone = ({ action, on }: { readonly action: string; readonly on: string }): boolean => {
    const pattern = new RegExp(`^${on.replace(/[^\w*]/g, "\\$&").replaceAll("*", ".*")}$`);
    return calls.some((call) => call.action === action && pattern.test(call.resource));
  };
  return [...new Set(allowed.filter((one) => !isDone(one)).map(({ action, on }) => `${action} on ${on}`))];
}

function list<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? value : [value as T];
}
