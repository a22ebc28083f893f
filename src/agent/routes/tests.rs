use super::*;

/// Method and path of each row of the table at the head of the wire's description.
fn described() -> Vec<(String, String)> {
    include_str!("../../protocol/socket.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .filter_map(|line| line.split_once('`'))
        .filter_map(|(route, _)| route.split_once(' '))
        .map(|(method, path)| {
            let path = path.split('?').next().unwrap_or_default();
            let path = match path.strip_prefix("/v1/seals/") {
                Some(_) => "/v1/seals/{seal}".to_owned(),
                None => path.replace("{id}", "{request}"),
            };
            (method.to_owned(), path)
        })
        .collect()
}

#[test]
fn table_and_description_have_the_same_routes() {
    let mut table: Vec<(String, String)> = ROUTES
        .iter()
        .map(|r| (r.method().to_string(), r.path().to_owned()))
        .collect();
    let mut described = described();
    table.sort();
    described.sort();
    assert_eq!(table, described);
    table.dedup();
    assert_eq!(table.len(), ROUTES.len(), "a route stands in it twice");
}

#[test]
fn what_hands_out_or_ends_a_session_is_nobodys_by_a_role_alone() {
    let permission = |path: &str| {
        let route = ROUTES.iter().find(|r| r.path() == path);
        route.expect("in the table").permission()
    };
    assert_eq!(
        permission("/v1/requests/{request}/credentials"),
        P::OwnRequest
    );
    assert_eq!(
        permission("/v1/requests/{request}/close"),
        P::OwnRequestOrOfficer
    );
    // A permission about a request needs one in the path.
    for route in ROUTES {
        let own = matches!(route.permission(), P::OwnRequest | P::OwnRequestOrOfficer);
        assert!(
            !own || route.path().contains("{request}"),
            "{}",
            route.path()
        );
    }
}
