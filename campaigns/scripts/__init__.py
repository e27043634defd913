"""Scripts: what agents say and ask, in versions that never change once they are published, and what came of them.

document   how a version is written             checking      what is wrong with one
rendering  what an agent reads, for a lead      differences   between two versions
versions   drafts and published versions        assignments   which project uses which, and the one on trial
responses  what was answered and read on a call quotas        places that are taken exactly
results    what came of a version
"""
