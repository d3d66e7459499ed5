//! The macro that turns one documented struct into settings: fields, parsing, reference page.

/// One setting, as the reference page, the loader and the command line see it.
#[derive(Debug, Clone, Copy)]
pub struct SettingInfo {
    /// Section in the file, `http` in `[http]`.
    pub section: &'static str,
    /// Key in the section.
    pub key: &'static str,
    /// Lines of the doc comment.
    pub doc: &'static [&'static str],
    /// What a user may write.
    pub shape: &'static str,
    /// Default as a user would write it; empty means unset.
    pub default: &'static str,
    /// Long flag without the dashes.
    pub flag: Option<&'static str>,
    /// Environment names, the one to use first.
    pub env: &'static [&'static str],
    /// Never shown, and read from `NAME_FILE` too.
    pub secret: bool,
}

impl SettingInfo {
    /// `section.key`, the name used in messages.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The doc comment as one paragraph.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }
}

/// One section of the configuration file.
#[derive(Debug, Clone, Copy)]
pub struct SectionInfo {
    /// Name in brackets.
    pub name: &'static str,
    /// Lines of the struct's doc comment.
    pub doc: &'static [&'static str],
    /// Its settings, in file order.
    pub settings: &'static [SettingInfo],
}

/// Declares a section struct. The doc comments become the reference page, the example file and
/// the help of the flags, so each is written once.
macro_rules! section {
    (
        $(#[doc = $section_doc:literal])*
        pub struct $Name:ident in $section:literal {
            $(
                $(#[doc = $doc:literal])*
                $field:ident : $ty:ty = $default:literal $(, flag $flag:literal)? , env [$($env:literal),+ $(,)?];
            )*
        }
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Debug, Clone)]
        pub struct $Name {
            $( $(#[doc = $doc])* pub $field: $ty, )*
        }

        impl $Name {
            /// What the section is and holds.
            pub const SECTION: $crate::config::section::SectionInfo = $crate::config::section::SectionInfo {
                name: $section,
                doc: &[$($section_doc),*],
                settings: &[$(
                    $crate::config::section::SettingInfo {
                        section: $section,
                        key: stringify!($field),
                        doc: &[$($doc),*],
                        shape: <$ty as $crate::config::setting::Setting>::SHAPE,
                        default: $default,
                        flag: $crate::config::section::section!(@flag $($flag)?),
                        env: &[$($env),+],
                        secret: <$ty as $crate::config::setting::Setting>::SECRET,
                    },
                )*],
            };

            /// Reads the section from the layers, noting where each value came from.
            pub(crate) fn load(
                layers: &$crate::config::layers::Layers,
                resolved: &mut Vec<$crate::config::layers::Resolved>,
            ) -> Result<Self, $crate::config::layers::ConfigError> {
                let mut settings = Self::SECTION.settings.iter();
                Ok(Self {
                    $( $field: layers.read::<$ty>(stringify!($field), settings.next(), resolved)?, )*
                })
            }
        }
    };
    (@flag $flag:literal) => { Some($flag) };
    (@flag) => { None };
}

pub(crate) use section;
