//! This project's own namespace.

use axum::routing::get;

use super::entry::{Credentials, Method, public};
use crate::org_p2pds::{lexicon, plc};

const PUBLIC: Credentials = Credentials::Public;

pub(super) const METHODS: &[Method] = &[
    public("org.p2pds.lexicon.list", PUBLIC, || get(lexicon::list::handle)),
    public("org.p2pds.lexicon.search", PUBLIC, || get(lexicon::search::handle)),
    public("org.p2pds.lexicon.stats", PUBLIC, || get(lexicon::stats::handle)),
    public("org.p2pds.plc.getLog", PUBLIC, || get(plc::get_log::handle)),
];
