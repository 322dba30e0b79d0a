// Errors: every class, by who must act.
export {
  BatchError,
  type BatchErrorOptions,
  CheckViolationError,
  ClosedError,
  CommitUnknownError,
  type CommitUnknownErrorOptions,
  ConfigError,
  ConnectError,
  ConnectionError,
  type ConnectionErrorOptions,
  ConnectionLostError,
  DatabaseError,
  type DatabaseErrorOptions,
  DataError,
  DeadlockError,
  DecodeError,
  DetachedInstanceError,
  EngineDisposedError,
  ForeignKeyViolationError,
  InputError,
  InstanceStateError,
  IntegrityError,
  LockTimeoutError,
  MappingError,
  MultipleResultsError,
  NestedCheckoutError,
  NoResultError,
  NotLoadedError,
  NotNullViolationError,
  PendingRollbackError,
  PoolError,
  PoolTimeoutError,
  ReadOnlyError,
  ResourceError,
  SerializationError,
  SluiceError,
  type SluiceErrorOptions,
  StaleDataError,
  StalePlanError,
  StatementError,
  StatementTimeoutError,
  TransactionAbortedError,
  TransactionError,
  UniqueViolationError,
  UsageError,
} from "./src/errors.ts";

// Pool: permits for a limited number, and what the engine's pool tells of itself.
export { type AcquireOptions, type Permit, Semaphore } from "./src/pool/semaphore.ts";
export {
  defaultPoolSize,
  type LeakReport,
  type LeaseTask,
  type PoolStatus,
} from "./src/pool/pool.ts";

// Engine: connections, transactions, results, options, events.
export { AsyncEngine, type AsyncEngineOptions } from "./src/session/async_engine.ts";
export { type ConnectOptions, CoreEngine, type EnginePool } from "./src/engine/core_engine.ts";
export { Connection, type ConnectionStatus } from "./src/engine/connection.ts";
export {
  Savepoint,
  Transaction,
  type TransactionHook,
  TransactionScope,
  type TransactionTraits,
} from "./src/engine/transaction.ts";
export type { EscapeMode, RetryOptions, TransactionOptions } from "./src/engine/begin_options.ts";
export { AdvisoryLock, type AdvisoryLockOptions } from "./src/engine/advisory_lock.ts";
export { Result } from "./src/engine/result.ts";
export type { Executable } from "./src/engine/statement.ts";
export type { StreamOptions } from "./src/engine/stream.ts";
export type { EngineOptions } from "./src/engine/options.ts";
export type {
  CheckoutEvent,
  ConnectEvent,
  EngineEvents,
  EngineListener,
  EscapeEvent,
  LostEvent,
  StatementEvent,
  TransactionEvent,
} from "./src/engine/events.ts";

// Drivers: what an engine talks to.
export type {
  BeginOptions,
  CallOptions,
  DialectName,
  Driver,
  DriverColumn,
  DriverConnection,
  DriverCursor,
  DriverResult,
  DriverStatement,
  Isolation,
  PoolKind,
  TransactionStatus,
  WireRow,
  WireValue,
} from "./src/dialect/driver.ts";

// SQL: statements by hand, and the expressions that stand in them.
export {
  allOf,
  anyOf,
  type Condition,
  type DateField,
  type DateUnit,
  Expression,
  type NullIn,
  type NullOf,
  type Numeric,
  type Operand,
  Order,
  type Subquery,
} from "./src/sql/expression.ts";
export {
  type Argument,
  type ArgumentValue,
  Case,
  caseWhen,
  coalesce,
  exists,
  greatest,
  least,
  matches,
  now,
  nullif,
  scalar,
  type TextColumns,
  type TextConfig,
  textRank,
  type TextSearchOptions,
  value,
} from "./src/sql/functions.ts";
export {
  Aggregate,
  arrayAgg,
  type Averaged,
  avg,
  boolAnd,
  boolOr,
  count,
  countDistinct,
  cumeDist,
  denseRank,
  firstValue,
  jsonAgg,
  lag,
  lastValue,
  lead,
  max,
  min,
  ntile,
  type OneOrMore,
  percentRank,
  rank,
  rowNumber,
  stringAgg,
  sum,
  type Window,
  WindowFunction,
} from "./src/sql/aggregates.ts";
export type { FrameBound, HasNode } from "./src/sql/node.ts";
export { Sql, sql, type SqlTag } from "./src/sql/raw.ts";
export type { TypeName, TypeNames } from "./src/sql/wire.ts";

// Entities: columns, relations, and what the compiler knows of them.
export { Embedded, embedded, type EmbeddedFields } from "./src/mapper/embedded.ts";
export { subclass, type SubclassBase } from "./src/mapper/subclass.ts";
export { type ComputedEntityBase, entity, type EntityBase } from "./src/mapper/define.ts";
export type {
  ComputedOptions,
  EntityOptions,
  ForeignKeyOptions,
  IndexOptions,
  SubclassOptions,
} from "./src/mapper/entity_options.ts";
export {
  belongsTo,
  type Cardinality,
  type Cascade,
  hasMany,
  hasOne,
  type ManyOptions,
  manyToMany,
  type ManyToManyOptions,
  Relation,
  type RelationOptions,
} from "./src/mapper/relation.ts";
export {
  bigint,
  boolean,
  bytes,
  Column,
  type ColumnReference,
  type ColumnSpec,
  customType,
  date,
  DeferredColumn,
  DiscriminatorColumn,
  double,
  instant,
  integer,
  interval,
  json,
  numeric,
  oneOf,
  OneOfColumn,
  plainDate,
  plainDateTime,
  type Presence,
  real,
  type ReferentialAction,
  smallint,
  text,
  time,
  timestamp,
  timestamptz,
  uuid,
  varchar,
  type VersionOptions,
} from "./src/schema/column.ts";
export type { CustomType } from "./src/schema/custom_type.ts";
export type {
  Deferred,
  EntityClass,
  Fields,
  Filter,
  Init,
  Instance,
  Many,
  ManyRef,
  MaybeOne,
  NullableRef,
  One,
  Only,
  Path,
  PathTarget,
  ReadNames,
  Ref,
  Unloaded,
  With,
  WithRefined,
} from "./src/mapper/types.ts";

// Sessions: the unit of work, queries, transactions, batches, bulk.
export { AsyncSession } from "./src/session/async_session.ts";
export type { ExecuteOptions } from "./src/session/execute.ts";
export type { CommittedChange, EntityHooks, HookName } from "./src/mapper/entity_hooks.ts";
export { FlushPreview, type PreviewStep } from "./src/unit_of_work/preview.ts";
export type { SessionHook } from "./src/unit_of_work/hooks.ts";
export { type FieldHistory, inspect, type Inspection } from "./src/unit_of_work/inspect.ts";
export { type Lazy, lazy } from "./src/session/lazy.ts";
export type { GetOptions } from "./src/session/reader.ts";
export type { SessionOptions } from "./src/session/session_core.ts";
export { type BatchContext, type BatchSession, Query } from "./src/session/query.ts";
export { SessionTransaction } from "./src/session/session_transaction.ts";
export type {
  Batches,
  BatchInfo,
  BatchOptions,
  BatchProgress,
  EachBatchOptions,
} from "./src/session/batches/batches.ts";
export {
  type ProgressBar,
  progressBar,
  type ProgressBarOptions,
  type ProgressStream,
} from "./src/session/batches/progress_bar.ts";
export { BulkPlan, type BulkPlanInput } from "./src/session/bulk/bulk_plan.ts";
export type {
  BulkColumn,
  BulkInsertOptions,
  BulkMethod,
  BulkReturned,
  BulkReturningOptions,
  BulkRow,
  BulkUpsertOptions,
  BulkUpsertReturningOptions,
  BulkValues,
  OnConflictOption,
  RowSource,
  Source,
} from "./src/session/bulk/types.ts";
export type { CopyOutOptions } from "./src/session/copy/copy_out.ts";

// Queries for rows: columns, joins, sets, pages.
export { prepare } from "./src/session/prepare.ts";
export { Ends } from "./src/session/queries/ends.ts";
export type { WriteJson } from "./src/session/json_lines.ts";
export type { ExplainOptions } from "./src/session/queries/explain.ts";
export type { Page, PageOptions } from "./src/session/queries/page.ts";
export type { OrderTerms } from "./src/session/queries/clauses.ts";
export { From } from "./src/session/queries/from.ts";
export { Cte, type Rows } from "./src/session/queries/rows.ts";
export { Select } from "./src/session/queries/select.ts";
export type { RefFilter } from "./src/session/queries/filter_by.ts";
export type { NullableSelection } from "./src/session/queries/selection.ts";
export { jsonObject } from "./src/sql/json.ts";
export type { RowOf, Selection } from "./src/sql/selection.ts";
export { Delete, deleteFrom } from "./src/session/queries/delete.ts";
export {
  Insert,
  insert,
  InsertInto,
  type InsertRow,
  type InsertSource,
} from "./src/session/queries/insert.ts";
export { type SetValues, Update, update, UpdateTable } from "./src/session/queries/update.ts";
export { WriteStatement, type Written } from "./src/session/queries/write_statement.ts";
export type { WriteRef } from "./src/session/queries/write_target.ts";

// Schema: tables made from entities.
export { createAll, dropAll } from "./src/session/create_all.ts";

// Types behind the types: seldom named, but what the compiler shows.
export type {
  ColumnNames,
  ColumnRefs,
  Computed,
  ComputedFields,
  ComputedInstance,
  Declarations,
  Declared,
  DiscriminatorIn,
  Field,
  FieldsOf,
  FilterOf,
  Group,
  GroupNames,
  Head,
  InitOf,
  KindIn,
  KindOf,
  Loaded,
  LoadedValue,
  ManyNames,
  PathOf,
  PropertyOf,
  RefinedValue,
  RefOf,
  RefsOf,
  RelationNames,
  RelationsOf,
  RequiredField,
  RequiredNames,
  Rest,
  SubclassInstance,
  TargetOf,
} from "./src/mapper/types.ts";
export type { PresenceOf, ValueOf } from "./src/schema/column.ts";
export type { ColumnCodec, ColumnType, EnumType } from "./src/schema/types.ts";
export type { Codec, SqlType } from "./src/sql/wire.ts";
export type { RelationSpec } from "./src/mapper/relation.ts";
export type { InstanceStatus } from "./src/mapper/instance_state.ts";
export type { BulkRowOf, RequiredColumns } from "./src/session/bulk/types.ts";
export type { InsertRowOf } from "./src/session/queries/insert.ts";
