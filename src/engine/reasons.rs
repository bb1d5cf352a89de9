//! One vocabulary: reason of events, of conditions, of history entries, label of metrics.

/// Something that must hold before the rollout begins does not.
pub const PREREQUISITE_UNMET: &str = "PrerequisiteUnmet";
/// All prerequisites that had to be asked hold.
pub const PREREQUISITES_MET: &str = "PrerequisitesMet";
/// The legacy configuration was copied.
pub const LEGACY_PRESERVED: &str = "LegacyPreserved";
/// Legacy was measured.
pub const BASELINE_CAPTURED: &str = "BaselineCaptured";
/// Legacy could not be measured.
pub const BASELINE_FAILED: &str = "BaselineFailed";
/// A stage's checks began.
pub const CHECKS_STARTED: &str = "ChecksStarted";
/// A stage's checks passed.
pub const CHECKS_PASSED: &str = "ChecksPassed";
/// A check failed.
pub const CHECK_FAILED: &str = "CheckFailed";
/// A stage's load began.
pub const LOAD_STARTED: &str = "LoadStarted";
/// A stage's load passed.
pub const LOAD_PASSED: &str = "LoadPassed";
/// A load went beyond a limit.
pub const LOAD_FAILED: &str = "LoadFailed";
/// The servers of a duet did not feel the same noise.
pub const NOISE_NOT_SHARED: &str = "NoiseNotShared";
/// The servers of a duet felt the same noise.
pub const NOISE_SHARED: &str = "NoiseShared";
/// An absolute limit of a load is one that legacy does not keep either.
pub const LIMIT_BELOW_BASELINE: &str = "LimitBelowBaseline";
/// The candidate was slower at the end than legacy in the baseline.
pub const SLOWER_THAN_BASELINE: &str = "SlowerThanBaseline";
/// An attempt ended without a verdict and is made again.
pub const ATTEMPT_WITHOUT_VERDICT: &str = "AttemptWithoutVerdict";
/// The spec or what it refers to changed under an attempt.
pub const EVIDENCE_VOID: &str = "EvidenceVoid";
/// A stage waits for a person.
pub const APPROVAL_NEEDED: &str = "ApprovalNeeded";
/// A stage's keys begin to be written.
pub const PROMOTION_STARTED: &str = "PromotionStarted";
/// All pods of a stage run the candidate.
pub const STAGE_PROMOTED: &str = "StagePromoted";
/// The pods did not become ready on the candidate.
pub const RESTART_FAILED: &str = "RestartFailed";
/// Something failed while a stage was watched.
pub const SOAK_FAILED: &str = "SoakFailed";
/// A stage is done.
pub const STAGE_DONE: &str = "StageDone";
/// All checks once more began.
pub const FINAL_VALIDATION_STARTED: &str = "FinalValidationStarted";
/// All checks once more did not pass.
pub const FINAL_VALIDATION_FAILED: &str = "FinalValidationFailed";
/// All stages are done.
pub const COMPLETED: &str = "Completed";
/// The rollback window is over, the copy deleted.
pub const LEGACY_RELEASED: &str = "LegacyReleased";
/// A failure holds the rollout.
pub const HELD: &str = "Held";
/// A failure was released by `retry` or by another plan.
pub const RETRIED: &str = "Retried";
/// The way back was begun.
pub const ROLLBACK_STARTED: &str = "RollbackStarted";
/// Legacy cannot serve, so an automatic rollback waits.
pub const LEGACY_UNAVAILABLE: &str = "LegacyUnavailable";
/// The application is back on legacy.
pub const ROLLED_BACK: &str = "RolledBack";
/// A new move was begun from legacy.
pub const RUN_STARTED: &str = "RunStarted";
/// The preserved copy is not what was preserved.
pub const LEGACY_COPY_DAMAGED: &str = "LegacyCopyDamaged";
/// Another manager reverted what was written.
pub const OWNERSHIP_CONFLICT: &str = "OwnershipConflict";
/// An edit of the spec would change what is already promoted.
pub const PROMOTED_STAGE_CHANGED: &str = "PromotedStageChanged";
/// `activeConfig: Legacy` came after the copy was deleted.
pub const ROLLBACK_WINDOW_OVER: &str = "RollbackWindowOver";
