// Errors: every class, by who must act.
export {
  BatchError,
  type BatchErrorOptions,
  CheckViolationError,
  ClosedError,
  CommitUnknownError,
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
export { defaultPoolSize, type LeakReport, type PoolStatus } from "./src/pool/pool.ts";

// Engine: connections, transactions, results, options, events.
export { type ConnectOptions, CoreEngine, type EnginePool } from "./src/engine/core_engine.ts";
export { Connection, type ConnectionStatus } from "./src/engine/connection.ts";
export {
  Savepoint,
  Transaction,
  type TransactionHook,
  type TransactionOptions,
  TransactionScope,
} from "./src/engine/transaction.ts";
export { Result } from "./src/engine/result.ts";
export type { Executable } from "./src/engine/statement.ts";
export type { StreamOptions } from "./src/engine/stream.ts";
export type { EngineOptions } from "./src/engine/options.ts";
export type {
  CheckoutEvent,
  ConnectEvent,
  EngineEvents,
  EngineListener,
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
  Expression,
  type Operand,
  Order,
} from "./src/sql/expression.ts";
export type { HasNode } from "./src/sql/node.ts";
export { Sql, sql, type SqlTag } from "./src/sql/raw.ts";
