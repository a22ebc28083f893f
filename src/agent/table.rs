//! A row of the table of routes, as a type: a route without a permission does not exist, because it cannot be written down.

use axum::http::Method;

/// What a route asks of its caller; checked before the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Stands in the roster.
    Listed,
    /// May act.
    Operator,
    /// May approve.
    Custodian,
    /// May authorise.
    Commander,
    /// Oversees.
    Officer,
    /// May approve, or oversees.
    CustodianOrOfficer,
    /// May act, or oversees.
    OperatorOrOfficer,
    /// Is the operator of this request.
    OwnRequest,
    /// Is the operator of this request, or oversees.
    OwnRequestOrOfficer,
}

/// A route: what is called, who may, and what is then done.
///
/// ```
/// use twotap::agent::table::{Permission, Route, get};
///
/// const STATUS: Route<fn()> = get("/v1/status", Permission::Listed, || ());
/// assert_eq!(STATUS.permission(), Permission::Listed);
/// ```
///
/// There is none without a permission, neither by the functions that make rows:
///
/// ```compile_fail,E0061
/// use twotap::agent::table::{Route, get};
///
/// const STATUS: Route<fn()> = get("/v1/status", || ());
/// ```
///
/// nor by hand, nor by leaving it open:
///
/// ```compile_fail,E0451
/// use twotap::agent::table::{Permission, Route};
///
/// # fn row(method: axum::http::Method) -> Route<fn()> {
/// Route { method, path: "/v1/status", permission: Permission::Listed, handler: || () }
/// # }
/// ```
///
/// ```compile_fail,E0277
/// use twotap::agent::table::Permission;
///
/// let anybody: Permission = Default::default();
/// ```
pub struct Route<H> {
    method: Method,
    path: &'static str,
    permission: Permission,
    handler: H,
}

/// A row for GET. `{vault}`, `{request}` and `{seal}` in the path say what the permission is about.
pub const fn get<H: Copy>(path: &'static str, permission: Permission, handler: H) -> Route<H> {
    Route {
        method: Method::GET,
        path,
        permission,
        handler,
    }
}

/// A row for POST.
pub const fn post<H: Copy>(path: &'static str, permission: Permission, handler: H) -> Route<H> {
    Route {
        method: Method::POST,
        path,
        permission,
        handler,
    }
}

impl<H: Copy> Route<H> {
    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The path, as the router takes it.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// What it asks of its caller.
    pub const fn permission(&self) -> Permission {
        self.permission
    }

    /// What is done for a caller who may.
    pub const fn handler(&self) -> H {
        self.handler
    }
}
