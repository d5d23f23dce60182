//! Where the records below one scope (and metric) go: the group of their service and hour.

use crate::common::{Origin, Request, set_shared};
use crate::error::{Excess, Reject};
use crate::groups::{Groups, Rows};
use crate::repeated::Repeated;

/// The resource and scope of the records being read, and the group the last one went to.
pub(crate) struct Target<'a> {
    resource: &'a Origin,
    scope: &'a Origin,
    /// Why every record below is rejected, if it is.
    pub reject: Option<Reject>,
    /// Names this resource and scope; a group that carries it repeats their values already.
    stamp: u64,
    last: Option<(i64, usize)>,
}

impl<'a> Target<'a> {
    pub fn new(request: &mut Request<'_>, resource: &'a Origin, scope: &'a Origin) -> Self {
        request.stamp += 1;
        Self {
            resource,
            scope,
            reject: resource.reject.or(scope.reject),
            stamp: request.stamp,
            last: None,
        }
    }

    /// The index of the group for an hour, its shared columns set to this resource and scope.
    #[inline(always)]
    pub fn find<C: Rows>(
        &mut self,
        groups: &mut Groups<C>,
        request: &mut Request<'_>,
        hour: i64,
        shared: impl Fn(&mut C) -> &mut Repeated,
    ) -> Result<usize, Excess> {
        match self.last {
            Some((last_hour, at)) if last_hour == hour => Ok(at),
            _ => self.find_other(groups, request, hour, shared),
        }
    }

    /// Makes the next record look its group up again.
    pub fn forget(&mut self) {
        self.last = None;
    }

    #[inline(never)]
    fn find_other<C: Rows>(
        &mut self,
        groups: &mut Groups<C>,
        request: &mut Request<'_>,
        hour: i64,
        shared: impl Fn(&mut C) -> &mut Repeated,
    ) -> Result<usize, Excess> {
        let Some(at) = groups.find(self.resource.service(), hour, &mut request.groups_left) else {
            return Err(Excess::Groups { limit: request.limits().groups });
        };
        let group = groups.get(at);
        if group.shared_stamp != self.stamp {
            set_shared(shared(&mut group.columns), self.resource, self.scope);
            group.shared_stamp = self.stamp;
        }
        self.last = Some((hour, at));
        Ok(at)
    }
}
