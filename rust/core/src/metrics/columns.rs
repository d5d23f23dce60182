//! The columns that all metric tables share, beyond the ones that all tables share.

use crate::columns::{Int64s, Repeated, Texts, column_of};
use crate::error::Fault;
use crate::metrics::exemplars::push_exemplars;
use crate::owner::Shared;
use crate::placing::SharedColumns;
use crate::request::Request;
use crate::times::{RowTime, Times};

/// The fields that every data point has besides its attributes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PointBase {
    pub start_time: u64,
    pub time: u64,
    pub flags: u32,
    /// Whether it has labels, which OTLP had before attributes.
    pub has_labels: bool,
}

/// Rows that were appended but for what they have alike: times and flags, and no exemplars. The
/// points of a metric are of one moment as a rule.
#[derive(Default)]
pub(crate) struct Alike {
    pub base: PointBase,
    pub time: RowTime,
    pub rows: usize,
}

/// From Timestamp to Flags.
pub(crate) struct BaseColumns {
    pub time: Times,
    pub shared: Shared,
    pub start_time: Times,
    /// Name, description, unit and metadata of the metric.
    pub metric: Repeated,
    pub attributes: Texts,
    pub flags: Int64s,
}

column_of!(BaseColumns { time, shared, start_time, metric, attributes, flags });

/// Bytes of a row in these columns and in Exemplars, beside text.
pub(crate) const BASE_BYTES: usize = 48;
/// Bytes that an exemplar takes beside its text while its point is read.
pub(crate) const EXEMPLAR_BYTES: usize = 16;

impl Default for BaseColumns {
    fn default() -> Self {
        Self {
            time: Times::default(),
            shared: Shared::default(),
            start_time: Times::default(),
            metric: Repeated::new(&[true; 4]),
            attributes: Texts::default(),
            flags: Int64s::default(),
        }
    }
}

/// A metric table seen without its kind.
pub(crate) trait MetricColumns: SharedColumns {
    fn base(&mut self) -> &mut BaseColumns;

    /// The Exemplars column; a summary has none.
    fn exemplars(&mut self) -> Option<&mut Texts>;

    fn metric(&mut self) -> &mut Repeated {
        &mut self.base().metric
    }

    /// Appends what may be refused: attributes, and exemplars if there are any.
    #[inline]
    fn append_rendered<'a>(
        &mut self,
        request: &mut Request<'a>,
        bytes: &'a [u8],
        exemplars: &[&'a [u8]],
    ) -> Result<(), Fault> {
        let attributes = &mut self.base().attributes;
        request.end_attributes(&mut attributes.data, bytes)?;
        attributes.end_row();
        if !exemplars.is_empty()
            && let Some(column) = self.exemplars()
        {
            push_exemplars(&mut column.data, request, exemplars)?;
            column.end_row();
        }
        Ok(())
    }

    /// Appends what rows have alike; `have_exemplars` says that those are there already.
    fn append_alike(&mut self, alike: &mut Alike, have_exemplars: bool) {
        const NO_EXEMPLARS: [u8; 2] = *b"[]";
        let Alike { base, time, rows } = *alike;
        alike.rows = 0;
        let (columns, flags) = (self.base(), i64::from(base.flags));
        if rows == 1 {
            // Points of a time each, as one that a scrape gives after another.
            columns.time.push_row_time(time);
            columns.start_time.push(base.start_time);
            columns.flags.push(flags);
        } else {
            columns.time.extend_row_time(time, rows);
            columns.start_time.extend(base.start_time, rows);
            columns.flags.extend(flags, rows);
        }
        match self.exemplars() {
            Some(column) if !have_exemplars && rows == 1 => {
                *column.data.room() = NO_EXEMPLARS;
                column.data.advance(NO_EXEMPLARS.len());
                column.end_row();
            }
            Some(column) if !have_exemplars => column.extend(NO_EXEMPLARS, rows),
            _ => {}
        }
    }
}

/// Makes a table's columns those of a metric table.
macro_rules! metric_columns {
    ($columns:ident, $this:ident => $exemplars:expr) => {
        impl $crate::placing::SharedColumns for $columns {
            fn resource(&mut self) -> &mut $crate::columns::Repeated {
                &mut self.base.shared.resource
            }

            fn scope(&mut self) -> &mut $crate::columns::Repeated {
                &mut self.base.shared.scope
            }
        }

        impl $crate::metrics::columns::MetricColumns for $columns {
            fn base(&mut self) -> &mut $crate::metrics::columns::BaseColumns {
                &mut self.base
            }

            fn exemplars(&mut self) -> Option<&mut $crate::columns::Texts> {
                let $this = self;
                $exemplars
            }
        }
    };
}
pub(crate) use metric_columns;

/// "Counts above 2^63-1 make that record rejected."
#[inline]
pub(crate) fn count(value: u64, bytes: &[u8]) -> Result<i64, Fault> {
    i64::try_from(value).map_err(|_| Fault::reject(bytes, crate::error::Misfit::Count(value)))
}
