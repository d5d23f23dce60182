//! The columns that all metric tables share, beyond the ones that all tables share.

use crate::columns::{Int64s, Texts};
use crate::common::{Request, RowTime, SHARED_TEXTS, Times};
use crate::error::Fault;
use crate::metrics::exemplars::push_exemplars;
use crate::repeated::Repeated;

/// The fields that every data point has besides its attributes.
#[derive(Default)]
pub(crate) struct PointBase {
    pub start_time: u64,
    pub time: u64,
    pub flags: u32,
}

/// From Timestamp to Flags, and Exemplars.
pub(crate) struct BaseColumns {
    pub time: Times,
    pub shared: Repeated,
    pub start_time: Times,
    /// Name, description, unit and metadata of the metric.
    pub metric: Repeated,
    pub attributes: Texts,
    pub flags: Int64s,
}

impl BaseColumns {
    pub fn new() -> Self {
        Self {
            time: Times::default(),
            shared: Repeated::new(&SHARED_TEXTS),
            start_time: Times::default(),
            metric: Repeated::new(&[true; 4]),
            attributes: Texts::default(),
            flags: Int64s::default(),
        }
    }

    pub fn each(&mut self, f: &mut dyn FnMut(&mut dyn crate::columns::Column)) {
        f(&mut self.time);
        f(&mut self.shared);
        f(&mut self.start_time);
        f(&mut self.metric);
        f(&mut self.attributes);
        f(&mut self.flags);
    }
}

/// A metric table seen without its kind.
pub(crate) trait MetricColumns {
    fn base(&mut self) -> &mut BaseColumns;

    /// The Exemplars column; a summary has none.
    fn exemplars(&mut self) -> Option<&mut Texts>;

    fn shared(&mut self) -> &mut Repeated {
        &mut self.base().shared
    }

    fn metric(&mut self) -> &mut Repeated {
        &mut self.base().metric
    }

    /// Appends what may be refused: attributes and exemplars.
    #[inline]
    fn append_rendered<'a>(
        &mut self,
        request: &mut Request<'a>,
        bytes: &'a [u8],
        exemplars: &[&'a [u8]],
    ) -> Result<(), Fault> {
        let attributes = &mut self.base().attributes;
        request.renderer.push_attributes(&mut attributes.data, bytes, &request.attributes)?;
        attributes.end_row();
        if let Some(column) = self.exemplars() {
            push_exemplars(&mut column.data, request, exemplars)?;
            column.end_row();
        }
        Ok(())
    }

    /// Appends what cannot be refused; gives the bytes of the values the row repeats.
    #[inline]
    fn append_base(&mut self, time: RowTime, base: &PointBase) -> u64 {
        let columns = self.base();
        columns.time.push_row_time(time);
        columns.start_time.push(base.start_time);
        columns.flags.push(i64::from(base.flags));
        columns.shared.push() + columns.metric.push()
    }
}

/// "Counts above 2^63-1 make that record rejected."
#[inline]
pub(crate) fn count(value: u64, bytes: &[u8]) -> Result<i64, Fault> {
    i64::try_from(value).map_err(|_| Fault::reject(bytes, crate::error::Misfit::Count(value)))
}

pub(crate) const TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];
