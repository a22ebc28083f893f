use super::*;

#[test]
fn a_step_has_one_name_on_the_wire_and_in_the_record() {
    let at = Timestamp(0);
    let steps = [
        Step::MintIntent {
            role: String::new(),
            not_after: at,
            revocation: String::new(),
        },
        Step::MintFailed { why: String::new() },
        Step::KeyCreated {
            access_key_id: String::new(),
        },
        Step::StrayFound {
            access_key_id: String::new(),
            whose: Whose::Likely,
            active: true,
            created: None,
        },
        Step::CreateIntent { aws_time: None },
        Step::CreateFailed { why: String::new() },
        Step::DeactivateIntent {
            access_key_id: String::new(),
        },
        Step::DeleteIntent {
            access_key_id: String::new(),
        },
        Step::KeyRefused {
            access_key_id: String::new(),
            by: ProvenBy::Id,
        },
        Step::DeletionOwed {
            access_key_id: String::new(),
            why: String::new(),
        },
        Step::RefusalObserved {
            region: String::new(),
            since: at,
            refusals: 1,
        },
        Step::Expired { at },
        Step::ClosePending { why: String::new() },
    ];
    for step in steps {
        let json = serde_json::to_value(&step).expect("json");
        assert_eq!(json["step"], step_name(&step));
    }
}
