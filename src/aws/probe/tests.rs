use super::*;

fn judged(status: u16, body: &str, action: ProbeAction) -> Observation {
    let parsed = Answered::parse(body).unwrap_or_default();
    Probed::Answered {
        status,
        root: parsed.root,
        code: parsed.code,
        request_id: parsed.request_id,
        date: None,
    }
    .judge(action)
}

fn ec2(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>m</Message></Error></Errors><RequestID>ab-1</RequestID></Response>"
    )
}

#[test]
fn only_a_refusal_by_policy_is_a_refusal() {
    for code in [
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
    ] {
        assert_eq!(
            judged(403, &ec2(code), ProbeAction::DescribeRegions),
            Observation::Refused {
                code: code.into(),
                request_id: Some("ab-1".into()),
                date: None
            }
        );
        assert!(matches!(
            judged(400, &ec2(code), ProbeAction::DescribeRegions),
            Observation::Inconclusive { .. }
        ));
    }
    for (status, code) in [
        (400, "RequestExpired"),
        (403, "ExpiredToken"),
        (403, "InvalidClientTokenId"),
        (401, "AuthFailure"),
        (403, "SignatureDoesNotMatch"),
        (503, "RequestLimitExceeded"),
        (500, "InternalError"),
        (403, "accessdenied"),
        (200, "UnauthorizedOperation"),
    ] {
        assert!(
            matches!(
                judged(status, &ec2(code), ProbeAction::DescribeRegions),
                Observation::Inconclusive { .. }
            ),
            "{status} {code}"
        );
    }
}

#[test]
fn only_the_right_answer_is_a_yes() {
    let yes = "<DescribeRegionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>x</requestId><regionInfo/></DescribeRegionsResponse>";
    assert!(matches!(
        judged(200, yes, ProbeAction::DescribeRegions),
        Observation::Allowed { .. }
    ));
    for (status, body) in [
        (200, ""),
        (200, "<html><body>Welcome to the hotel</body></html>"),
        (200, "<DescribeRegionsResponse><regionInfo>"),
        (200, "{\"ok\":true}"),
        (403, yes),
    ] {
        assert!(
            matches!(
                judged(status, body, ProbeAction::DescribeRegions),
                Observation::Inconclusive { .. }
            ),
            "{status} {body}"
        );
    }
    assert!(matches!(
        judged(200, yes, ProbeAction::ListAllMyBuckets),
        Observation::Inconclusive { .. }
    ));
}

#[test]
fn errors_of_other_shapes() {
    let s3 = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>R1</RequestId></Error>";
    assert_eq!(
        judged(403, s3, ProbeAction::ListAllMyBuckets),
        Observation::Refused {
            code: "AccessDenied".into(),
            request_id: Some("R1".into()),
            date: None
        }
    );
    // A code that stands in the wrong place, or in a broken document, is none.
    for body in [
        "<Response><Message>&lt;Code&gt;AccessDenied&lt;/Code&gt;</Message></Response>",
        "<Response><Code>AccessDenied</Code></Response>",
        "<html><Code>AccessDenied</Code></html>",
        "<Response><Errors><Error><Code>AccessDenied</Code></Error></Errors>",
        "<Response><Errors><Error><Code>Access Denied</Code></Error></Errors></Response>",
        "Access denied",
    ] {
        assert!(
            matches!(
                judged(403, body, ProbeAction::DescribeRegions),
                Observation::Inconclusive { .. }
            ),
            "{body}"
        );
    }
}

#[test]
fn actions_have_names() {
    for action in ProbeAction::ALL {
        assert_eq!(ProbeAction::parse(action.as_str()), Ok(action));
    }
    // What custodians' programs take for a probe is what can be made as one.
    assert_eq!(
        ProbeAction::ALL.map(ProbeAction::as_str),
        crate::trust::power::render::PROBES
    );
    let error = ProbeAction::parse("sts:GetCallerIdentity").unwrap_err();
    assert_eq!(
        error.to_string(),
        "'sts:GetCallerIdentity' cannot be used as a probe"
    );
    assert_eq!(
        error.hint().as_deref(),
        Some("supported are ec2:DescribeRegions, s3:ListAllMyBuckets")
    );
}
