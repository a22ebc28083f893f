//! What the demo saw; nothing here is set without having been observed in this run.

use serde_json::json;

/// The findings, all false or zero until they are seen.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) approvals: u64,
    pub(crate) taps: u64,
    pub(crate) below_threshold_refused: bool,
    pub(crate) swapped_request_refused: bool,
    pub(crate) session_worked: bool,
    pub(crate) old_key_refused: bool,
    pub(crate) new_key_sealed: bool,
    pub(crate) session_revoked: bool,
    pub(crate) named_secret_rotated: bool,
    pub(crate) second_ceremony_worked: bool,
    pub(crate) audit_verified: bool,
    pub(crate) tamper_found: bool,
    pub(crate) seconds_from_last_tap_to_credentials: f64,
}

impl Findings {
    /// One line of JSON.
    pub(crate) fn json(&self) -> String {
        json!({
            "approvals": self.approvals,
            "taps": self.taps,
            "below_threshold_refused": self.below_threshold_refused,
            "swapped_request_refused": self.swapped_request_refused,
            "session_worked": self.session_worked,
            "old_key_refused": self.old_key_refused,
            "new_key_sealed": self.new_key_sealed,
            "session_revoked": self.session_revoked,
            "named_secret_rotated": self.named_secret_rotated,
            "second_ceremony_worked": self.second_ceremony_worked,
            "audit_verified": self.audit_verified,
            "tamper_found": self.tamper_found,
            "seconds_from_last_tap_to_credentials":
                (self.seconds_from_last_tap_to_credentials * 1000.0).round() / 1000.0,
        })
        .to_string()
    }

    /// Whether the demo showed what it is there to show.
    pub(crate) fn all_hold(&self) -> bool {
        self.approvals == 2
            && self.taps == 2
            && self.below_threshold_refused
            && self.swapped_request_refused
            && self.session_worked
            && self.old_key_refused
            && self.new_key_sealed
            && self.session_revoked
            && self.named_secret_rotated
            && self.second_ceremony_worked
            && self.audit_verified
            && self.tamper_found
            && self.seconds_from_last_tap_to_credentials > 0.0
    }
}
