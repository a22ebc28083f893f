//! The catalogue: every kind of event by its name. What each says of itself stands in [`super::what`]: a new one needs a line here and
//! its fields there.

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $action:literal;)*) => {
        /// What happened. The names are the contract with SIEMs and are never reused for anything else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventType {
            $($(#[doc = $doc])* $variant,)*
        }

        impl EventType {
            /// Every event type, in the order of a vault's life.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the line, e.g. `BREAK_GLASS_REQUESTED`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The `action` written when the caller names none.
            pub fn action(self) -> &'static str {
                match self { $(Self::$variant => $action,)* }
            }

            /// What it means, in a sentence or two: the same words as here, for schemas and tables.
            pub fn words(self) -> &'static str {
                let words = match self { $(Self::$variant => concat!($($doc),*),)* };
                words.trim_start()
            }
        }
    };
}

catalogue! {
    /// The agent came up; `what` has version, configuration digest and isolation.
    AgentStarted = "AGENT_STARTED", "start";
    /// A token's keys were bound to a person.
    CustodianEnrolled = "CUSTODIAN_ENROLLED", "enroll";
    /// A custodian signed a roster version.
    RosterSigned = "ROSTER_SIGNED", "sign_roster";
    /// A later roster version counts from here on; says in plain words what it changes, and carries it.
    RosterChanged = "ROSTER_CHANGED", "change_roster";
    /// A vault was opened without an agent, by recovery shares or by tokens; carries the signed record, handed in by the actor.
    RecoveryUsed = "RECOVERY_USED", "recover";
    /// A generation was sealed and counts; carries its manifest.
    VaultSealed = "VAULT_SEALED", "seal";
    /// The sealed bundle (ciphertext) was handed out to be kept elsewhere.
    BundleExported = "BUNDLE_EXPORTED", "export_bundle";
    /// An operator asked, and custodians are not asked: a required check has not passed, or a sink is missing that must hold the request.
    RequestRefused = "REQUEST_REFUSED", "refuse_request";
    /// An operator asked; carries the signed offer.
    BreakGlassRequested = "BREAK_GLASS_REQUESTED", "request";
    /// A commander confirmed, from the own account, that exactly this request is authorised; `what` has the statement.
    BreakGlassAuthorised = "BREAK_GLASS_AUTHORISED", "authorise";
    /// A custodian approved; carries the signed approval.
    BreakGlassApproved = "BREAK_GLASS_APPROVED", "approve";
    /// A custodian voted against; carries the signed denial.
    BreakGlassDenied = "BREAK_GLASS_DENIED", "deny";
    /// A custodian took the own approval back; carries the signed withdrawal.
    BreakGlassWithdrawn = "BREAK_GLASS_WITHDRAWN", "withdraw";
    /// An approval did not count, and why.
    ApprovalRefused = "APPROVAL_REFUSED", "refuse_approval";
    /// Nobody completed the quorum in time.
    RequestExpired = "REQUEST_EXPIRED", "expire_request";
    /// The ceremony ended without access.
    RequestFailed = "REQUEST_FAILED", "fail_request";
    /// Written before the first session is asked for: from here on closing always revokes.
    MintIntent = "MINT_INTENT", "intend";
    /// The session exists; `who` is its ARN.
    BreakGlassAccess = "BREAK_GLASS_ACCESS", "access";
    /// One of several roles could not be opened; the others were, or may be.
    TargetFailed = "BREAK_GLASS_TARGET_FAILED", "fail_target";
    /// One step of replacing the key that opened the session.
    RotationStep = "ROTATION_STEP", "rotate_step";
    /// The old key is proven dead and the new one sealed; carries the receipt.
    CredentialRotated = "CREDENTIAL_ROTATED", "rotate";
    /// The key could not be replaced yet: the old one is still current.
    CredentialRotationPending = "CREDENTIAL_ROTATION_PENDING", "rotation_pending";
    /// A key of the break-glass user that no worker asked for: somebody else has its power. It was made inactive and deleted.
    StrangerKeyFound = "STRANGER_KEY_FOUND", "find_stranger";
    /// The sealed key was used outside a ceremony: somebody has it.
    CredentialMisused = "CREDENTIAL_MISUSED", "misuse";
    /// Session credentials were handed to the operator.
    CredentialsDelivered = "CREDENTIALS_DELIVERED", "deliver";
    /// Something that the operator did or declared during the session.
    BreakGlassAction = "BREAK_GLASS_ACTION", "act";
    /// What the operator's terminal shows is being recorded; `what.readers` are the officers to whom it is sealed.
    RecordingStarted = "RECORDING_STARTED", "start_recording";
    /// More of a recording is on disk: how many chunks, and one digest over all of them. At most one a minute.
    RecordingStored = "RECORDING_STORED", "store_recording";
    /// A recording is complete; with the digest over all its chunks.
    RecordingEnded = "RECORDING_ENDED", "end_recording";
    /// An officer has fetched a recording to read it.
    RecordingRead = "RECORDING_READ", "read_recording";
    /// A recording could not be begun or broke off, and why; what came before is kept.
    RecordingFailed = "RECORDING_FAILED", "fail_recording";
    /// Closing began, by the operator's or an officer's word.
    SessionClosed = "SESSION_CLOSED", "close";
    /// The time box ended the session.
    SessionExpired = "SESSION_EXPIRED", "expire";
    /// One step of ending a session: intent, policy put, refusals observed, or why it cannot go on now.
    RevocationStep = "REVOCATION_STEP", "revoke_step";
    /// The session's own credentials were seen refused.
    SessionRevoked = "SESSION_REVOKED", "revoke";
    /// One step of rotating a named secret.
    SecretRotationStep = "SECRET_ROTATION_STEP", "rotate_secret_step";
    /// A named secret was rotated after the session; carries the receipt.
    SecretRotated = "SECRET_ROTATED", "rotate_secret";
    /// A named secret could not be rotated, and why; `again` says whether the host tries again by itself.
    SecretRotationFailed = "SECRET_ROTATION_FAILED", "rotate_secret_failed";
    /// A custodian's token has opened its share, and it was the one that was sealed; carries the signed receipt.
    DrillPassed = "DRILL_PASSED", "drill";
    /// A custodian's share did not open in a drill; `what.layer` says where it failed.
    DrillFailed = "DRILL_FAILED", "fail_drill";
    /// One step of a whole ceremony that is a drill.
    DrillStep = "DRILL_STEP", "drill_step";
    /// A whole ceremony as a drill: the session was refused everything, and the key was replaced; says how long it took.
    DrillFullPassed = "DRILL_FULL_PASSED", "drill_full";
    /// A proof that the vault would open is stale, or a drill failed; `what.cause` names it. Once for each cause, until it ends.
    ReadinessDegraded = "READINESS_DEGRADED", "degrade_readiness";
    /// Such a cause has ended.
    ReadinessRestored = "READINESS_RESTORED", "restore_readiness";
    /// Somebody has read a printed recovery share and found it sound; says which, and nothing of its words.
    RecoverySheetChecked = "RECOVERY_SHEET_CHECKED", "check_sheet";
    /// A session is over: an officer's review of it is due; `what.due` says by when.
    ReviewDue = "REVIEW_DUE", "await_review";
    /// Nobody has signed a review in time. Once for each session.
    ReviewOverdue = "REVIEW_OVERDUE", "miss_review";
    /// An officer who was nothing else in the request has reviewed it; carries the findings and their digest.
    ReviewSigned = "REVIEW_SIGNED", "review";
    /// The formal report was handed in, or the change board has had it: where to, and the digest of what it said.
    ReportFiled = "REPORT_FILED", "file_report";
    /// A key that should have been replaced by now has not been; `what.due` says since when. Once for each request.
    RotationOverdue = "ROTATION_OVERDUE", "miss_rotation";
    /// A sink does not hold what it should by now; `what.sink` names it. Once for each sink, until it has caught up.
    DegradedEvidence = "DEGRADED_EVIDENCE", "degrade_evidence";
    /// Such a sink has caught up.
    EvidenceRestored = "EVIDENCE_RESTORED", "restore_evidence";
    /// What a sink holds is not all that it was sent, or not only that; `what.why` says how. Never twice on end in the same words;
    /// of events that a sink passed over at most one is told for each start of the agent.
    EvidenceFlawed = "EVIDENCE_FLAWED", "flaw_evidence";
    /// The live record on this host was deleted, cut off, replaced or changed; `what` says how and where.
    AuditTampered = "AUDIT_TAMPERED", "find_tampering";
    /// An officer has seen what was done to the live record; what was refused because of it is allowed again.
    TamperingAcknowledged = "TAMPERING_ACKNOWLEDGED", "acknowledge_tampering";
    /// The store is not the one that others have seen: it was restored from a backup, or rolled back. A new epoch of the record begins here.
    StoreReset = "STORE_RESET", "reset_store";
    /// An officer has compared a value with the fingerprints of an event; says whether it is the one, and nothing of it.
    FingerprintCompared = "FINGERPRINT_COMPARED", "compare_fingerprint";
    /// A signed statement of the record's head; carries the note in `what.note`.
    Checkpoint = "CHECKPOINT", "checkpoint";
}

impl EventType {
    /// The type with this name; a line written by a newer version may have one that is not known here.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.name() == name)
    }
}
