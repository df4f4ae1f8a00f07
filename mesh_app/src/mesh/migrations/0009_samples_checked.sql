-- Reads the table while it is written to; afterwards it can become a partition without being read under a lock.
ALTER TABLE samples VALIDATE CONSTRAINT samples_until;
