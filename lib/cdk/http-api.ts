/** The HTTP API in front of the api function: who may call it, how often, and the log of who did. */
import { CfnOutput, Stack, Validations } from "aws-cdk-lib";
import { AccessLogFormat } from "aws-cdk-lib/aws-apigateway";
import * as apigateway from "aws-cdk-lib/aws-apigatewayv2";
import * as authorizers from "aws-cdk-lib/aws-apigatewayv2-authorizers";
import { HttpLambdaIntegration } from "aws-cdk-lib/aws-apigatewayv2-integrations";
import type * as iam from "aws-cdk-lib/aws-iam";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { urlDescriptionPrefix } from "../aws/environment.ts";
import { permit } from "./access.ts";
import { createLogGroup, type FunctionSettings } from "./function.ts";

export interface ApiProps {
  /**
   * Who may call: `"iam"`, whoever signs with AWS credentials that are allowed to (see `grantHttp`); a JWT of the issuer
   * for one of the audiences; or `"none"`, everybody.
   *
   * @default "iam"
   */
  readonly auth?: "iam" | "none" | JwtAuth;
  /**
   * Let everybody call `/callbacks/*`. The task token in the path is a secret, made for one attempt and used up by its
   * answer; outside parties seldom have other credentials.
   *
   * @default false: as `auth` says
   */
  readonly openCallbacks?: boolean;
  /** Requests per second, and how many may come at once. @default the account's limits */
  readonly throttle?: { readonly rateLimit: number; readonly burstLimit: number };
  /** Pages of other origins that may call from a browser. @default none */
  readonly cors?: apigateway.CorsPreflightOptions;
}

export interface JwtAuth {
  /** The `iss` of the tokens: an https URL under which the issuer publishes its keys. */
  readonly issuer: string;
  /** The `aud` or `client_id` of the tokens. */
  readonly audience: readonly string[];
  /** Of which a token must have one. @default none */
  readonly scopes?: readonly string[];
}

export class HttpApi extends Construct {
  /** Without a slash at its end. */
  readonly url: string;
  readonly api: apigateway.HttpApi;
  readonly stage: apigateway.HttpStage;

  constructor(
    scope: Construct,
    id: string,
    handler: lambda.IFunction,
    { auth = "iam", openCallbacks = false, throttle, cors }: ApiProps,
    settings: Pick<FunctionSettings, "logRetention" | "key">,
  ) {
    super(scope, id);
    this.api = new apigateway.HttpApi(this, "Api", {
      description: "Pawl: start, watch and operate runs",
      createDefaultStage: false,
      ...(cors === undefined ? {} : { corsPreflight: cors }),
    });
    this.stage = new apigateway.HttpStage(this, "Stage", {
      httpApi: this.api,
      autoDeploy: true,
      accessLogSettings: {
        destination: new apigateway.LogGroupLogDestination(createLogGroup(this, "AccessLogs", settings)),
        format: AccessLogFormat.custom(JSON.stringify(accessLog)),
      },
      ...(throttle === undefined ? {} : { throttle }),
    });
    const integration = new HttpLambdaIntegration("Integration", handler);
    // Those that the API takes: a route for any would also catch a browser's preflight, and ask it for credentials.
    const methods = [apigateway.HttpMethod.GET, apigateway.HttpMethod.POST];
    const all = [...methods, apigateway.HttpMethod.DELETE];
    const authorized = authorization(auth);
    const routes = [
      ...this.api.addRoutes({ path: "/", methods, integration, ...authorized }),
      ...this.api.addRoutes({ path: "/{path+}", methods: all, integration, ...authorized }),
    ];
    const open = auth === "none" ? routes : [];
    if (openCallbacks && auth !== "none") {
      const authorizer = new apigateway.HttpNoneAuthorizer();
      open.push(...this.api.addRoutes({ path: "/callbacks/{path+}", methods, integration, authorizer }));
    }
    for (const route of open) {
      Validations.of(route).acknowledge({
        id: "AwsSolutions-APIG4",
        reason: "The stack's owner has opened this route",
      });
    }
    this.url = this.api.apiEndpoint;
    new CfnOutput(this, "Url", { value: this.url, description: urlDescription(scope) });
  }

  /** The call of every route, for those who sign their requests. */
  grantInvoke(grantee: iam.IGrantable): iam.Grant {
    const everyRoute = Stack.of(this).formatArn({
      service: "execute-api",
      resource: this.api.apiId,
      resourceName: "*",
    });
    const wide = "Every route of the API";
    return permit(grantee, [{ actions: ["execute-api:Invoke"], resourceArns: [everyRoute], wide }]);
  }
}

/** How `pawl --stack` knows the API among the outputs of a stack: by the path of its construct there. */
function urlDescription(pawl: Construct): string {
  const ids = pawl.node.scopes.slice(Stack.of(pawl).node.scopes.length).map(({ node }) => node.id);
  return `${urlDescriptionPrefix}${ids.join("/")}`;
}

/** Without the path: it may have a task token in it, and that is a secret. The route says enough. */
const accessLog = {
  requestId: "$context.requestId",
  time: "$context.requestTime",
  ip: "$context.identity.sourceIp",
  caller: "$context.identity.userArn",
  route: "$context.routeKey",
  status: "$context.status",
  bytes: "$context.responseLength",
  ms: "$context.responseLatency",
  error: "$context.integrationErrorMessage",
};

function authorization(
  auth: "iam" | "none" | JwtAuth,
): Pick<apigateway.AddRoutesOptions, "authorizer" | "authorizationScopes"> {
  if (auth === "iam") return { authorizer: new authorizers.HttpIamAuthorizer() };
  if (auth === "none") return { authorizer: new apigateway.HttpNoneAuthorizer() };
  const { issuer, audience, scopes } = auth;
  const authorizer = new authorizers.HttpJwtAuthorizer("Jwt", issuer, { jwtAudience: [...audience] });
  return { authorizer, ...(scopes === undefined ? {} : { authorizationScopes: [...scopes] }) };
}
