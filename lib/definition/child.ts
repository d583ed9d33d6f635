/** What a user says about a step whose work is a run of another workflow. */
import type { WhenParentEnds } from "./graph.ts";
import type {
  CodeBase,
  CompensationAfter,
  DependencyOptions,
  ErasedCode,
  StepRefs,
  StepView,
  ViewAfter,
} from "./step.ts";
import type { InputOf, OutputOf, Workflow } from "./workflow.ts";

interface ChildOptionsBase<
  Input,
  Child extends Workflow,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> extends DependencyOptions<Input, After, AfterAny, AfterFailed, AfterSettled, When, Skips> {
  /** The workflow to run, or, for one that is defined further down or is this one itself, a function that returns it. */
  readonly workflow: Child | (() => Child);
  /** A run that ends otherwise than by success, or unwinds, cancels the child or leaves it alone. @default "cancel" */
  readonly whenParentEnds?: WhenParentEnds;
  /**
   * Undoes the child once it has succeeded, as the `compensate` of a step does. A child that did not succeed is not undone,
   * as it has undone itself; unless it could not: its outcome is unknown then. Nor is one that is left alone and has not
   * ended when the run begins to unwind. @default nothing is to be undone
   */
  readonly compensate?: CompensationAfter<Input, OutputOf<Child>, After, AfterAny, AfterFailed, AfterSettled>;
}

/** `input` may be left out when the child's workflow can be started without one. */
export type ChildOptions<
  Input,
  Child extends Workflow,
  After extends StepRefs,
  AfterAny extends StepRefs,
  AfterFailed extends StepRefs,
  AfterSettled extends StepRefs,
  When extends boolean,
  Skips extends boolean,
> = ChildOptionsBase<Input, Child, After, AfterAny, AfterFailed, AfterSettled, When, Skips> &
  (undefined extends InputOf<Child>
    ? Partial<InputOption<InputOf<Child>, ViewAfter<Input, After, AfterAny, AfterFailed, AfterSettled>>>
    : InputOption<InputOf<Child>, ViewAfter<Input, After, AfterAny, AfterFailed, AfterSettled>>);

interface InputOption<ChildInput, View> {
  /** Called once per attempt. Must only depend on what it is given: the child is known by its input, too. */
  readonly input: (view: View) => ChildInput | Promise<ChildInput>;
}

export interface ChildCode extends CodeBase {
  readonly kind: "child";
  readonly workflow: () => Workflow;
  readonly input?: ErasedCode<StepView<unknown, unknown, string>>;
}
