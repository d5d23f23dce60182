//! Where the records below one scope (and metric) go: the group of their service and hour.

use crate::columns::{Column, Repeated, Rows};
use crate::error::{Excess, Reject};
use crate::owner::Owner;
use crate::request::Request;

/// The columns that repeat the values of resources and scopes.
pub(crate) trait SharedColumns: Column {
    fn resource(&mut self) -> &mut Repeated;
    fn scope(&mut self) -> &mut Repeated;
}

/// The resource and scope of the records being read, and the group that the last one went to.
pub(crate) struct Placing<'o> {
    resource: &'o Owner,
    scope: &'o Owner,
    /// The hour and the group of the last record, and the metric that it belonged to.
    last: Option<(i64, u32, u64)>,
}

impl<'o> Placing<'o> {
    pub fn new(resource: &'o Owner, scope: &'o Owner) -> Self {
        Self { resource, scope, last: None }
    }

    /// Why every record below is rejected, if it is.
    pub fn reject(&self) -> Option<Reject> {
        self.resource.reject.or(self.scope.reject)
    }

    /// Says that the columns get a row of this hour; nothing can refuse the record any more.
    #[inline(always)]
    pub fn place_row<C: SharedColumns>(
        &mut self,
        rows: &mut Rows<C>,
        request: &mut Request<'_>,
        hour: i64,
    ) -> Result<(), Excess> {
        let group = match self.last {
            Some((last, group, metric)) if last == hour && metric == rows.stamps.metric => group,
            _ => self.find(rows, request, hour)?,
        };
        rows.push_row(group);
        request.count_row(rows.stamps.bytes())
    }

    #[inline(never)]
    fn find<C: SharedColumns>(
        &mut self,
        rows: &mut Rows<C>,
        request: &mut Request<'_>,
        hour: i64,
    ) -> Result<u32, Excess> {
        let group = match self.last {
            Some((last, group, _)) if last == hour => group,
            _ => self.open(rows, request, hour)?,
        };
        let row = rows.len();
        if rows.stamps.resource != self.resource.stamp {
            request.renderer.charge(self.resource.num_bytes())?;
            rows.stamps.resource_bytes = self.resource.set_resource(rows.columns.resource(), row);
            rows.stamps.resource = self.resource.stamp;
        }
        if rows.stamps.scope != self.scope.stamp {
            request.renderer.charge(self.scope.num_bytes())?;
            rows.stamps.scope_bytes = self.scope.set_scope(rows.columns.scope(), row);
            rows.stamps.scope = self.scope.stamp;
        }
        request.renderer.charge(rows.enter(group))?;
        self.last = Some((hour, group, rows.stamps.metric));
        Ok(group)
    }

    #[inline(never)]
    fn open<C: SharedColumns>(
        &mut self,
        rows: &mut Rows<C>,
        request: &mut Request<'_>,
        hour: i64,
    ) -> Result<u32, Excess> {
        let before = rows.num_groups();
        let Some(group) = rows.group(self.resource.service(), hour, &mut request.groups_left)
        else {
            return Err(Excess::Groups { limit: request.limits().groups });
        };
        if rows.num_groups() > before {
            request.renderer.charge(GROUP_BYTES)?;
        }
        Ok(group)
    }
}

/// What a group costs beside its rows, up to the batch that Python holds.
const GROUP_BYTES: usize = 1 << 10;
