// The SDK clients and commands that every worker needs, and nothing else.
import {
  BatchGetItemCommand,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import {
  ChangeMessageVisibilityCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";

const used = [
  new DynamoDBClient({}),
  new SQSClient({}),
  BatchGetItemCommand,
  ChangeMessageVisibilityCommand,
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  UpdateItemCommand,
];

export const [worker, api, deadLetters, audit, lifecycle] = used;
