// The policies of a deployed role, with all names resolved: what IAM would evaluate.
import { signedFetch } from "./signed-fetch.ts";

export interface PolicyDocument {
  readonly Version: string;
  readonly Statement: readonly Statement[];
}

export interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: object;
}

/** @throws {Error} when a policy is attached to the role that others may change */
export async function policiesOf(endpoint: string, role: string): Promise<readonly PolicyDocument[]> {
  const ask = async (action: string, more: Readonly<Record<string, string>> = {}): Promise<string> => {
    const response = await signedFetch({
      service: "iam",
      method: "POST",
      url: `${endpoint}/`,
      contentType: "application/x-www-form-urlencoded",
      body: new URLSearchParams({ Action: action, Version: "2010-05-08", RoleName: role, ...more }).toString(),
    });
    const xml = await response.text();
    if (!response.ok) throw new Error(`${action} of ${role}: ${response.status} ${xml}`);
    return xml;
  };
  const attached = elements(await ask("ListAttachedRolePolicies"), "PolicyArn");
  if (attached.length > 0) throw new Error(`Role ${role} has policies that are not its own: ${attached.join(", ")}`);
  const names = elements(await ask("ListRolePolicies"), "member");
  const documents = names.map(async (name) => {
    const [document = ""] = elements(await ask("GetRolePolicy", { PolicyName: name }), "PolicyDocument");
    return JSON.parse(decodeURIComponent(document)) as PolicyDocument;
  });
  return Promise.all(documents);
}

/** @param key ARN */
export async function policyOfKey(endpoint: string, key: string): Promise<PolicyDocument> {
  const response = await signedFetch({
    service: "kms",
    method: "POST",
    url: `${endpoint}/`,
    target: "TrentService.GetKeyPolicy",
    contentType: "application/x-amz-json-1.1",
    body: JSON.stringify({ KeyId: key, PolicyName: "default" }),
  });
  const { Policy: policy } = (await response.json()) as { readonly Policy?: string };
  if (policy === undefined) throw new Error(`The policy of ${key} cannot be had: ${response.status}`);
  return JSON.parse(policy) as PolicyDocument;
}

function elements(xml: string, name: string): readonly string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map(([, text = ""]) => text);
}
