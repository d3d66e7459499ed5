# The record types that everybody uses, so that they are checked without asking anybody.
#
#   record NSID KEY        a record; KEY is tid, any, nsid or =self
#   object NAME            a map; NAME is nsid or nsid#name
#   value NAME TYPE        another name for a type
#   token NAME             a name that stands for itself
#   <indented> FIELD TYPE  a field; FIELD! must be there
#
# TYPE: text datetime did at-uri uri handle language nsid cid bool bytes int, a NAME (#name in the same lexicon),
# [TYPE] a list, | NAME NAME an open union, blob(LARGEST MIME MIME).
# In parentheses the bounds: text(1..640 ..64g) bytes and graphemes, int(0..255), [TYPE](..4) elements.

record app.bsky.actor.profile =self
  displayName text(..640 ..64g)
  description text(..2560 ..256g)
  pronouns text(..200 ..20g)
  website uri
  avatar blob(1000000 image/png image/jpeg)
  banner blob(1000000 image/png image/jpeg)
  labels | com.atproto.label.defs#selfLabels
  joinedViaStarterPack com.atproto.repo.strongRef
  pinnedPost com.atproto.repo.strongRef
  createdAt datetime

record app.bsky.actor.status =self
  status! text
  embed | app.bsky.embed.external
  durationMinutes int(1..)
  createdAt! datetime
token app.bsky.actor.status#live

record app.bsky.feed.generator any
  did! did
  displayName! text(..240 ..24g)
  description text(..3000 ..300g)
  descriptionFacets [app.bsky.richtext.facet]
  avatar blob(1000000 image/png image/jpeg)
  acceptsInteractions bool
  labels | com.atproto.label.defs#selfLabels
  contentMode text
  createdAt! datetime

record app.bsky.feed.like tid
  subject! com.atproto.repo.strongRef
  createdAt! datetime
  via com.atproto.repo.strongRef

record app.bsky.feed.post tid
  text! text(..3000 ..300g)
  entities [#entity]
  facets [app.bsky.richtext.facet]
  reply #replyRef
  embed | app.bsky.embed.images app.bsky.embed.video app.bsky.embed.gallery app.bsky.embed.external app.bsky.embed.record app.bsky.embed.recordWithMedia
  langs [language](..3)
  labels | com.atproto.label.defs#selfLabels
  tags [text(..640 ..64g)](..8)
  createdAt! datetime
object app.bsky.feed.post#replyRef
  root! com.atproto.repo.strongRef
  parent! com.atproto.repo.strongRef
object app.bsky.feed.post#entity
  index! #textSlice
  type! text
  value! text
object app.bsky.feed.post#textSlice
  start! int(0..)
  end! int(0..)

record app.bsky.feed.postgate tid
  post! at-uri
  detachedEmbeddingUris [at-uri](..50)
  embeddingRules [| #disableRule](..5)
  createdAt! datetime
object app.bsky.feed.postgate#disableRule

record app.bsky.feed.repost tid
  subject! com.atproto.repo.strongRef
  createdAt! datetime
  via com.atproto.repo.strongRef

record app.bsky.feed.threadgate tid
  post! at-uri
  allow [| #mentionRule #followerRule #followingRule #listRule](..5)
  hiddenReplies [at-uri](..300)
  createdAt! datetime
object app.bsky.feed.threadgate#mentionRule
object app.bsky.feed.threadgate#followerRule
object app.bsky.feed.threadgate#followingRule
object app.bsky.feed.threadgate#listRule
  list! at-uri

record app.bsky.graph.block tid
  subject! did
  createdAt! datetime

record app.bsky.graph.follow tid
  subject! did
  createdAt! datetime
  via com.atproto.repo.strongRef

record app.bsky.graph.list tid
  purpose! app.bsky.graph.defs#listPurpose
  name! text(1..64)
  description text(..3000 ..300g)
  descriptionFacets [app.bsky.richtext.facet]
  avatar blob(1000000 image/png image/jpeg)
  labels | com.atproto.label.defs#selfLabels
  createdAt! datetime
value app.bsky.graph.defs#listPurpose text

record app.bsky.graph.listblock tid
  subject! at-uri
  createdAt! datetime

record app.bsky.graph.listitem tid
  subject! did
  list! at-uri
  createdAt! datetime

record app.bsky.graph.starterpack tid
  name! text(1..500 ..50g)
  description text(..3000 ..300g)
  descriptionFacets [app.bsky.richtext.facet]
  list! at-uri
  feeds [#feedItem](..3)
  createdAt! datetime
object app.bsky.graph.starterpack#feedItem
  uri! at-uri

record app.bsky.graph.verification tid
  subject! did
  handle! handle
  displayName! text
  createdAt! datetime

record app.bsky.labeler.service =self
  policies! app.bsky.labeler.defs#labelerPolicies
  labels | com.atproto.label.defs#selfLabels
  createdAt! datetime
  reasonTypes [com.atproto.moderation.defs#reasonType]
  subjectTypes [com.atproto.moderation.defs#subjectType]
  subjectCollections [nsid]
object app.bsky.labeler.defs#labelerPolicies
  labelValues! [com.atproto.label.defs#labelValue]
  labelValueDefinitions [com.atproto.label.defs#labelValueDefinition]
value com.atproto.moderation.defs#reasonType text
value com.atproto.moderation.defs#subjectType text

record app.bsky.notification.declaration =self
  allowSubscriptions! text

record chat.bsky.actor.declaration =self
  allowIncoming! text
  allowGroupInvites text

record com.atproto.lexicon.schema nsid
  lexicon! int

record com.germnetwork.declaration =self
  version! text(5..14)
  currentKey! bytes
  messageMe #messageMe
  keyPackage bytes
  continuityProofs [bytes](..1000)
object com.germnetwork.declaration#messageMe
  messageMeUrl! uri(1..2047)
  showButtonTo! text(1..100)

# What these are made of.

object com.atproto.repo.strongRef
  uri! at-uri
  cid! cid

object com.atproto.label.defs#selfLabels
  values! [#selfLabel](..10)
object com.atproto.label.defs#selfLabel
  val! text(..128)
value com.atproto.label.defs#labelValue text
object com.atproto.label.defs#labelValueDefinition
  identifier! text(..100 ..100g)
  severity! text
  blurs! text
  defaultSetting text
  adultOnly bool
  locales! [#labelValueDefinitionStrings]
object com.atproto.label.defs#labelValueDefinitionStrings
  lang! language
  name! text(..640 ..64g)
  description! text(..100000 ..10000g)

object app.bsky.richtext.facet
  index! #byteSlice
  features! [| #mention #link #tag]
object app.bsky.richtext.facet#byteSlice
  byteStart! int(0..)
  byteEnd! int(0..)
object app.bsky.richtext.facet#mention
  did! did
object app.bsky.richtext.facet#link
  uri! uri
object app.bsky.richtext.facet#tag
  tag! text(..640 ..64g)

object app.bsky.embed.defs#aspectRatio
  width! int(1..)
  height! int(1..)
object app.bsky.embed.images
  images! [#image](..4)
object app.bsky.embed.images#image
  image! blob(2000000 image/*)
  alt! text
  aspectRatio app.bsky.embed.defs#aspectRatio
object app.bsky.embed.gallery
  items! [| #image](..20)
object app.bsky.embed.gallery#image
  image! blob(2000000 image/*)
  alt! text
  aspectRatio! app.bsky.embed.defs#aspectRatio
object app.bsky.embed.video
  video! blob(300000000 video/mp4)
  captions [#caption](..20)
  alt text
  aspectRatio app.bsky.embed.defs#aspectRatio
  presentation text
object app.bsky.embed.video#caption
  lang! language
  file! blob(20000 text/vtt)
object app.bsky.embed.external
  external! #external
object app.bsky.embed.external#external
  uri! uri
  title! text
  description! text
  thumb blob(1000000 image/*)
  associatedRefs [com.atproto.repo.strongRef]
object app.bsky.embed.record
  record! com.atproto.repo.strongRef
object app.bsky.embed.recordWithMedia
  record! app.bsky.embed.record
  media! | app.bsky.embed.images app.bsky.embed.video app.bsky.embed.gallery app.bsky.embed.external
